"""Sizes of models for people to read: one model as text, all published rows as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .complexity import Complexity
from .published import DETECTION_ROIS, GIGA, PUBLISHED_SCORES, SOURCES
from .shapes import Shape
from .table import Comparison


def as_text(size: Complexity, shape: Shape) -> str:
    """A model's size, one fact a line."""
    where = f'one image of {shape[0]}x{shape[1]}'
    if size.rois is not None:
        where += f', {size.rois} RoIs in the box head'
    lines = [
        f'parameters            {size.params:,} ({size.params / 1e6:.1f} M)',
        f'multiply-accumulates  {size.macs:,} ({size.macs / GIGA:.2f} x 2^30; {where})',
    ]
    if size.auxiliary_params:
        lines.append(
            f'for training alone    {size.auxiliary_params:,} parameters of auxiliary heads, not run'
        )
    if size.macs_as_run != size.macs:
        lines.append(f'as run here           {size.macs_as_run:,} (necks convolve before they upsample)')
    return '\n'.join(lines)


def as_markdown(rows: Sequence[Comparison]) -> str:
    """The page ``docs/published_figures.md``."""
    return '\n'.join([*_introduction(rows), *_size_tables(rows), *_score_tables()]).rstrip()


def _introduction(rows: Sequence[Comparison]) -> list[str]:
    return [
        '# The published figures, recomputed',
        '',
        'Made by `python tools/complexity.py --table`. Our figures come from the configs named, built on the',
        "meta device and counted by torch's `FlopCounterMode`; accuracies are the authors' and were not",
        'measured here.',
        '',
        f'**{sum(row.agrees for row in rows)} of {len(rows)} rows agree** in every printed digit, and in the '
        'whole integer where one is known.',
        '',
        "- GFLOPs: the authors' word for multiply-accumulates of convolutions and linear layers for one",
        '  image, divided by 2^30.',
        '- Parameters: millions (10^6). The detection table divides by 2^20, and its four widths round to',
        '  what is printed if norms are left out; with norms, W32, W40 and W48 come out 0.1 higher.',
        '- Detection counts backbone, HRFPN, RPN and the box head. On how many RoIs is not published;',
        f'  {DETECTION_ROIS} is fitted: the only whole number with which the four widths round to what is '
        'printed.',
        '  With 500, W32 and W48 come out 0.1 higher.',
        '- "MACs as run": our necks convolve before they upsample where that pays, with the same result and',
        '  fewer multiplications than the published form.',
        '',
    ]


_SIZE_HEADINGS = (
    'network',
    'input',
    'params, published',
    'ours',
    'GFLOPs, published',
    'ours',
    'all parameters',
    'MACs',
    'MACs as run',
    'agrees',
    'published accuracy',
)


def _size_tables(rows: Sequence[Comparison]) -> list[str]:
    lines = []
    for task in dict.fromkeys(row.published.task for row in rows):
        cells = [_size_cells(row) for row in rows if row.published.task == task]
        lines += [f'## {task.capitalize()}', '', f'Source: {SOURCES[task]}.', '']
        lines += [*markdown_table(_SIZE_HEADINGS, cells), '']
    return lines


def _size_cells(row: Comparison) -> list[str]:
    published, ours = row.published, row.ours
    return [
        f'[{published.name}](../configs/{published.config})',
        'x'.join(map(str, published.shape)),
        published.params,
        row.params,
        published.gflops,
        row.gflops,
        _beside(ours.params, published.params_exact),
        _beside(ours.macs, published.macs_exact),
        f'{ours.macs_as_run:,}',
        'yes' if row.agrees else '**no**',
        _scores(published.scores),
    ]


def _beside(ours: int, exact: int | None) -> str:
    """Our integer, with the other one where it differs."""
    return f'{ours:,}' if exact in (None, ours) else f'{ours:,} (published: {exact:,})'


def _score_tables() -> list[str]:
    lines = [
        '## Published accuracy alone',
        '',
        'Rows without a size to recompute, for reference.',
        '',
    ]
    cells = [[row.task, row.name, _scores(row.scores)] for row in PUBLISHED_SCORES]
    return [*lines, *markdown_table(('task', 'network', 'published accuracy'), cells), '']


def _scores(scores: Mapping[str, str]) -> str:
    return ', '.join(f'{name} {value}' for name, value in scores.items())


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f'| {" | ".join(cells)} |' for cells in (headings, ['---'] * len(headings), *rows)]
