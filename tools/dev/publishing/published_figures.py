"""``docs/published_figures.md``: every published size beside what our config gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hrnet_mm.analysis import GIGA, Complexity, measure
from hrnet_mm.config.load import load_config
from hrnet_mm.utils import markdown_table

from .figures import ROOT, SCORES, SIZES, SOURCES, PublishedSize, scores_as_text

_INTRODUCTION = """\
# The published figures, recomputed

Made by `python tools/dev/pages.py published_figures`. Our figures come from the configs named, built on the
meta device and counted by torch's `FlopCounterMode`; accuracies are the authors' and were not
measured here.

**{agreeing} of {all} rows agree** in every printed digit, and in the whole integer where one is known.

- GFLOPs: the authors' word for multiply-accumulates of convolutions and linear layers for one
  image, divided by 2^30.
- Parameters: millions (10^6). The detection table divides by 2^20, and its four widths round to
  what is printed if norms are left out; with norms, W32, W40 and W48 come out 0.1 higher.
- Detection counts backbone, HRFPN, RPN and the box head. On how many RoIs is not published;
  {rois} is fitted: the only whole number with which the four widths round to what is printed.
  With 500, W32 and W48 come out 0.1 higher.
- "MACs as run": our necks convolve before they upsample where that pays, with the same result and
  fewer multiplications than the published form.
"""
_HEADINGS = (
    'network', 'input', 'params, published', 'ours', 'GFLOPs, published', 'ours', 'all parameters', 'MACs',
    'MACs as run', 'agrees', 'published accuracy',
)  # fmt: skip


@dataclass(frozen=True)
class SizeRow:
    """A published row and what its config gives here."""

    published: PublishedSize
    ours: Complexity

    @property
    def params(self) -> str:
        """Our number of parameters, as the publisher would print it."""
        unit, size = self.published.params_unit, self.ours
        counted = size.params if unit['norms'] else size.params - size.norm_params
        return _as_printed(counted / unit['divisor'], like=self.published.params)

    @property
    def gflops(self) -> str:
        """Our multiply-accumulates, as the publisher would print them."""
        return _as_printed(self.ours.macs / GIGA, like=self.published.gflops)

    @property
    def agrees(self) -> bool:
        """Whether all published digits, and integers where they are known, are ours too."""
        row = self.published
        return (
            (self.params, self.gflops) == (row.params, row.gflops)
            and row.params_exact in (None, self.ours.params)
            and row.macs_exact in (None, self.ours.macs)
        )


def _as_printed(value: float, *, like: str) -> str:
    """``value`` with as many decimals as ``like``."""
    return f'{value:.{len(like.partition(".")[2])}f}'


def measure_sizes(rows: Iterable[PublishedSize] = SIZES, *, progress: bool = False) -> list[SizeRow]:
    """Measure the config of every row."""
    bar = tqdm(list(rows), desc='published figures', unit='row', disable=not progress)
    return [
        SizeRow(row, measure(load_config(ROOT / 'configs' / row.config), row.shape, rois=row.rois))
        for row in bar
    ]


def published_figures_page(rows: Sequence[SizeRow]) -> str:
    """The page."""
    rois = next((row.published.rois for row in rows if row.published.rois), None)
    agreeing = sum(row.agrees for row in rows)
    blocks = [_INTRODUCTION.format(agreeing=agreeing, all=len(rows), rois=rois)]
    for task in dict.fromkeys(row.published.task for row in rows):
        cells = [_cells(row) for row in rows if row.published.task == task]
        blocks.append(f'## {task.capitalize()}\n\nSource: {SOURCES[task]}.\n')
        blocks.append(markdown_table(_HEADINGS, cells) + '\n')
    blocks.append('## Published accuracy alone\n\nRows without a size to recompute, for reference.\n')
    scores = [[row.task, row.name, scores_as_text(row.scores)] for row in SCORES]
    blocks.append(markdown_table(('task', 'network', 'published accuracy'), scores) + '\n')
    return '\n'.join(blocks)


def _cells(row: SizeRow) -> list[str]:
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
        scores_as_text(published.scores),
    ]


def _beside(ours: int, exact: int | None) -> str:
    """Our integer, with the published one where it differs."""
    return f'{ours:,}' if exact in (None, ours) else f'{ours:,} (published: {exact:,})'
