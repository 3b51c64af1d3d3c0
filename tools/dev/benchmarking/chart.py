"""A report as a picture: one bar per contestant, with quartiles, and the time the machine's rate allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .machine import in_words
from .results import MatchResult, Report

_OURS, _OTHERS, _BOUND = '#1f6f8b', '#b8b8b8', '#c0392b'
_ROW_HEIGHT, _MARGIN, _WIDTH = 0.34, 0.9, 8.5  # inches


def draw_chart(path: Path, report: Report) -> None:
    """Write a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [_MARGIN + _ROW_HEIGHT * len(match.rows) for match in report.matches]
    figure = Figure(figsize=(_WIDTH, sum(heights) + _MARGIN), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(report.matches), 1, squeeze=False, height_ratios=heights)[:, 0]
    for panel, match in zip(axes, report.matches, strict=True):
        _draw_match(panel, match, report)
    request = report.request
    size = 'x'.join(map(str, request.shape))
    figure.suptitle(
        f'{request.kind.title} {request.arch}, {request.mode}, {size}, batch {request.batch}, '
        f'{request.precision}\n{in_words(dict(report.machine))}, {request.threads} threads',
        fontsize=10,
    )
    figure.savefig(path, dpi=120)


def _draw_match(panel: Any, match: MatchResult, report: Report) -> None:
    rows = list(reversed(match.rows))  # the first one on top
    places = range(len(rows))
    medians = [1000 * row.samples.median for row in rows]
    spread = [
        [1000 * (row.samples.median - row.samples.quartiles[0]) for row in rows],
        [1000 * (row.samples.quartiles[1] - row.samples.median) for row in rows],
    ]
    colours = [_OURS if row.is_ours else _OTHERS for row in rows]
    panel.barh(places, medians, xerr=spread, color=colours, error_kw={'linewidth': 1, 'capsize': 2})
    for place, row in zip(places, rows, strict=True):
        bound = 1000 * row.macs / report.rate.macs_per_second
        label = 'at the rate of the machine' if place == 0 else None
        panel.plot([bound, bound], [place - 0.4, place + 0.4], color=_BOUND, linewidth=1.2, label=label)
        end = 1000 * max(row.samples.quartiles[1], row.macs / report.rate.macs_per_second)
        panel.text(end, place, f'  {1000 * row.samples.median:.3g}', va='center', fontsize=8)
    panel.set_yticks(places, [row.name for row in rows], fontsize=8)
    panel.set_xlabel('ms', fontsize=8)
    panel.tick_params(axis='x', labelsize=8)
    panel.set_title(f'against {match.name}', fontsize=9, loc='left')
    panel.legend(fontsize=7, frameon=False, loc='lower right')
    panel.spines[['top', 'right']].set_visible(False)
