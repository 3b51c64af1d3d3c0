"""Time and memory as the input grows: past the start, twice the pixels should cost twice of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log2
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hrnet_mm.config.errors import ConfigError

from .request import Request
from .results import Report, Row
from .run import benchmark
from .table import as_table, in_mebibytes, in_milliseconds

_OCTAVES = range(5)  # the size asked for, and four doublings


def _larger_area(request: Request, octave: int) -> Request:
    """Width and height double in turn."""
    height, width = request.shape
    return replace(request, shape=(height << octave // 2, width << (octave + 1) // 2))


def _larger_batch(request: Request, octave: int) -> Request:
    return replace(request, batch=request.batch << octave)


#: ``--growth`` -> the request so many octaves up.
AXES: Mapping[str, Callable[[Request, int], Request]] = MappingProxyType(
    {'area': _larger_area, 'batch': _larger_batch}
)


@dataclass(frozen=True)
class Growth:
    """The same benchmark at sizes that double.

    Attributes:
        axis: key of ``AXES``.
        reports: from small to large.
    """

    axis: str
    reports: tuple[Report, ...]

    @property
    def sizes(self) -> list[str]:
        """What each report's input was, in words."""
        requests = [report.request for report in self.reports]
        return [f'{r.batch}x{r.shape[0]}x{r.shape[1]}' for r in requests]

    def curves(self) -> dict[str, list[Row]]:
        """By contestant, one row per size; of several matches, ours is the one in the first."""
        found: dict[str, list[Row]] = {}
        for report in self.reports:
            first: dict[str, Row] = {}
            for row in (row for match in report.matches for row in match.rows):
                first.setdefault(row.name, row)
            for name, row in first.items():
                found.setdefault(name, []).append(row)
        return found


def measure_growth(request: Request, *, axis: str, command: str = '', progress: bool = False) -> Growth:
    """Run the benchmark at the request's size and at four doublings of it.

    Raises:
        ConfigError: if ``axis`` is unknown, or as :func:`benchmarking.run.benchmark` does.
    """
    if axis not in AXES:
        raise ConfigError(key='--growth', value=axis, expected=f'one of {", ".join(AXES)}')
    requests = [AXES[axis](request, octave) for octave in _OCTAVES]
    return Growth(axis, tuple(benchmark(r, command=command, progress=progress) for r in requests))


def growth_as_text(growth: Growth) -> str:
    """Two tables: milliseconds and MiB by size, and by how much the last doubling raised them."""
    curves = growth.curves()
    times = [
        [name, *(in_milliseconds(row.samples.median) for row in rows), _last_exponent(_seconds(rows))]
        for name, rows in curves.items()
    ]
    peaks = [
        [name, *(in_mebibytes(row.peak) for row in rows), _last_exponent(_peaks(rows))]
        for name, rows in curves.items()
    ]
    sizes = growth.sizes
    return '\n\n'.join(
        [
            as_table([['ms', *sizes, 'exponent'], *times]),
            as_table([['peak MiB', *sizes, 'exponent'], *peaks]),
            'exponent: of the growth over the last two doublings; 1 is linear.',
        ]
    )


def exponents(values: list[float]) -> list[float]:
    """By octave, 1 where a value doubles."""
    return [log2(after / before) for before, after in pairwise(values)]


def _last_exponent(values: list[float] | None) -> str:
    return '–' if values is None else f'{sum(exponents(values)[-2:]) / 2:.2f}'


def _seconds(rows: list[Row]) -> list[float]:
    return [row.samples.median for row in rows]


def _peaks(rows: list[Row]) -> list[float] | None:
    known = [float(row.peak) for row in rows if row.peak is not None]
    return known if len(known) == len(rows) else None


def growth_record(growth: Growth) -> dict[str, Any]:
    """Everything, as JSON takes it."""
    return {'growth': growth.axis, 'reports': [report.as_record() for report in growth.reports]}


def draw_growth(path: Path, growth: Growth) -> None:
    """Write a PNG: time and memory against size, both axes logarithmic, beside a straight line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    sizes = [2**octave for octave in range(len(growth.reports))]
    for name, rows in growth.curves().items():
        style = '-' if rows[0].is_ours else '--'
        panels[0].plot(sizes, [1000 * s for s in _seconds(rows)], style, marker='o', markersize=3, label=name)
        peaks = _peaks(rows)
        if peaks is not None:
            panels[1].plot(sizes, [p / 2**20 for p in peaks], style, marker='o', markersize=3, label=name)
    for panel, title in zip(panels, ('ms', 'peak MiB'), strict=True):
        low = min(line.get_ydata()[0] for line in panel.lines)
        panel.plot(sizes, [low * size for size in sizes], ':', color='grey', label='linear')
        panel.set_xscale('log', base=2)
        panel.set_yscale('log', base=2)
        panel.set_xticks(sizes, growth.sizes, fontsize=7)
        panel.set_title(title, fontsize=9, loc='left')
        panel.legend(fontsize=7, frameon=False)
        panel.spines[['top', 'right']].set_visible(False)
    request = growth.reports[0].request
    figure.suptitle(
        f'{request.kind.title} {request.arch}, {request.mode}, growing {growth.axis}', fontsize=10
    )
    figure.savefig(path, dpi=120)
