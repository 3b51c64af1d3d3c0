"""The comparison for people to read, as Markdown: the page ``docs/comparison.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .comparison import Measured
from .memory import TRAINING_BATCH
from .partners import TASKS
from .published import GIGA
from .report import markdown_table

_MIB = 2**20

_INTRODUCTION = f"""\
# HRNet against the others

Made by `python tools/complexity.py --compare`: the networks that the paper (arXiv 1908.07919) compares with,
as the mm packages ship them, beside ours. Columns headed "paper" are the authors' figures and were not
measured here; all others are computed from the configs.

- Parameters: millions (10^6), without heads that only training runs (mmseg's auxiliary heads).
- MACs: multiply-accumulates of convolutions and linear layers, all heads included, for one image, divided by
  2^30, the unit that the paper calls GFLOPs. Our necks convolve before they upsample where that pays: what
  is really multiplied stands in brackets.
- Detectors are counted on the RoIs that their configs ask for: 1000 in inference, 512 an image in training.
- Memory: the most bytes of tensors alive at once, weights included, in 32 bits: inference on one image, and
  a training step on {TRAINING_BATCH} images (features, gradients and auxiliary heads; without the optimizer's
  state and the losses). Counted tensor by tensor on the meta device, so it is the same on every machine. What
  the allocator rounds up and what an operation needs inside come on top. The paper measured on a GPU, in
  training with batches that it doesn't give."""

_TIME = """\
- Time: one inference on one image with random weights, the median of interleaved rounds and their range;
  {device}."""


def comparison_page(rows: Sequence[Measured]) -> str:
    """Introduction and a table per comparison, with a time column where time was measured."""
    devices = list(dict.fromkeys(row.timing.device for row in rows if row.timing))
    lines = [_INTRODUCTION, *(_TIME.format(device=device) for device in devices), '']
    for task in dict.fromkeys(row.partner.task for row in rows):
        lines += _section(task, [row for row in rows if row.partner.task == task])
    return '\n'.join(lines).rstrip()


def _section(task: str, rows: Sequence[Measured]) -> list[str]:
    about = TASKS[task]
    columns = {heading.format(score=about.score): [cell(row) for row in rows] for heading, cell in _COLUMNS}
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    lines = [f'## {about.title}', '', f"The paper's {about.source}.", '']
    lines += markdown_table(list(filled), list(zip(*filled.values(), strict=True)))
    notes = [f'- {row.partner.note}' for row in rows if row.partner.note]
    return [*lines, '', *notes, ''] if notes else [*lines, '']


def _network(row: Measured) -> str:
    partner = row.partner
    return partner.name if '::' in partner.config else f'[**{partner.name}**](../configs/{partner.config})'


def _macs(row: Measured) -> str:
    drawn, run = (f'{macs / GIGA:,.2f}' for macs in (row.size.macs, row.size.macs_as_run))
    return drawn if drawn == run else f'{drawn} ({run})'


def _published(name: str) -> Callable[[Measured], str]:
    return lambda row: getattr(row.partner.published, name, '')


def _time(row: Measured) -> str:
    if row.timing is None:
        return ''
    return f'{row.timing.seconds:.3f} ({row.timing.fastest:.3f} to {row.timing.slowest:.3f})'


def _size(shape: Sequence[int]) -> str:
    return 'x'.join(map(str, shape))


#: Heading and cell; a column without a single entry is left out.
_COLUMNS: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ('network', _network),
    ('input', lambda row: _size(row.shape)),
    ('params (M)', lambda row: f'{row.params / 1e6:.2f}'),
    ('MACs (2^30)', _macs),
    ('memory, inference (MiB)', lambda row: f'{row.memory.inference / _MIB:,.0f}'),
    ('memory, training (MiB)', lambda row: f'{row.memory.training / _MIB:,.0f}'),
    ('time (s)', _time),
    ('timed at', lambda row: _size(row.timing.shape) if row.timing else ''),
    ('paper: params (M)', _published('params')),
    ('paper: GFLOPs', _published('gflops')),
    ('paper: memory, inference (GB)', _published('memory')),
    ('paper: memory, training (GB)', _published('training_memory')),
    ('paper: time (s)', _published('seconds')),
    ('paper: {score}', _published('score')),
    ('config', lambda row: f'`{row.partner.config}`' if '::' in row.partner.config else ''),
)
