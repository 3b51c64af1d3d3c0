"""Time and memory as the input grows: past the start, twice the pixels should cost twice of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Final

from hrnet_mm.utils import markdown_table

from .report import Report, Row, in_mebibytes, in_milliseconds, new_figure
from .request import Request

OCTAVES = 5  # the size asked for, and four doublings


def _larger_area(request: Request, octave: int) -> Request:
    """Width and height double in turn."""
    height, width = request.shape
    return replace(request, shape=(height << octave // 2, width << (octave + 1) // 2))


def _larger_batch(request: Request, octave: int) -> Request:
    return replace(request, batch=request.batch << octave)


#: ``--growth`` -> the request so many octaves up.
AXES: Final[Mapping[str, Callable[[Request, int], Request]]] = {'area': _larger_area, 'batch': _larger_batch}


def _curves(reports: Sequence[Report]) -> dict[str, list[Row]]:
    """By contestant, one row per size; of several matches, ours is the one in the first."""
    found: dict[str, list[Row]] = {}
    for report in reports:
        rows = [row for match in report.matches for row in match.rows]
        for name, row in {row.name: row for row in reversed(rows)}.items():
            found.setdefault(name, []).append(row)
    return {row.name: found[row.name] for match in reports[0].matches for row in match.rows}


def exponent(values: Sequence[float | None]) -> str:
    """Of the growth over the last two doublings: 1 is linear; a dash where a value is not known."""
    last = [value for value in values[-3:] if value]
    return '–' if None in values else f'{log2(last[-1] / last[0]) / (len(last) - 1):.2f}'


def growth_as_text(reports: Sequence[Report]) -> str:
    """Two tables: milliseconds and MiB by size, and by how much the last two doublings raised them."""
    sizes = [report.request.size for report in reports]
    times, peaks = [], []
    for name, rows in _curves(reports).items():
        medians, bytes_ = [row.samples.median for row in rows], [row.peak for row in rows]
        times.append([name, *map(in_milliseconds, medians), exponent(medians)])
        peaks.append([name, *map(in_mebibytes, bytes_), exponent(bytes_)])
    tables = [markdown_table([unit, *sizes, 'exponent'], t) for unit, t in (('ms', times), ('MiB', peaks))]
    return '\n\n'.join([*tables, 'exponent: of the growth over the last two doublings; 1 is linear.'])


def draw_growth(path: Path, reports: Sequence[Report]) -> None:
    """A PNG: time and peak memory against size, both axes logarithmic, beside a straight line."""
    figure = new_figure((9, 4), reports[0].as_text().splitlines()[0])
    sizes = [2**octave for octave in range(len(reports))]
    panels = figure.subplots(1, 2)
    for name, rows in _curves(reports).items():
        style = '-' if rows[0].is_ours else '--'
        curves = [[1000 * row.samples.median for row in rows], [(row.peak or 0) / 2**20 for row in rows]]
        for panel, values in zip(panels, curves, strict=True):
            if all(values):
                panel.plot(sizes, values, style, marker='o', markersize=3, label=name)
    for panel, title in zip(panels, ('ms', 'peak MiB'), strict=True):
        low = min(line.get_ydata()[0] for line in panel.lines)
        panel.plot(sizes, [low * size for size in sizes], ':', color='grey', label='linear')
        panel.set_xscale('log', base=2)
        panel.set_yscale('log', base=2)
        panel.set_xticks(sizes, [report.request.size for report in reports], fontsize=7)
        panel.set_title(title, fontsize=9, loc='left')
        panel.legend(fontsize=7, frameon=False)
        panel.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
