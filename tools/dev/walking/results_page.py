"""The page ``docs/swap_results.md``: a walk in figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from hrnet_mm.analysis.report import markdown_table
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.swap.request import SwapRequest

from .outcomes import KINDS, Outcome, cnn_share, count

_HEADINGS = ('package', 'configs', *KINDS)
_INTRODUCTION = (
    '# The swap over every shipped config',
    '',
    'Made by `{command}`. Every config that the four packages',
    "ship (each `.py` under a package's configs that lies in no `_base_` folder) was given to the swap.",
    '',
    '- *Proven*: HRNet was put under it, and the new model ran on small random images: forward, where the',
    '  strides that heads believe in are compared with the maps they get; a loss of two images with random',
    '  annotations, and its backward pass into every trainable weight of the backbone; and a prediction.',
    '  Configs with equal models share a proof. To fit small images it lowers the numbers of proposals,',
    '  samples and queries, sets score thresholds to 0, makes synchronised norms plain ones and starts',
    '  all-zero weights at small random values; bottom-up pose runs at a quarter of its size.',
    '- *Refused*: a part stands in the way; the tool names it and writes nothing. Models that fail in the',
    '  same way with their own backbone are among these.',
    '- *Failed*: anything else.',
    '- *Unreadable*: even by the package that ships it.',
    '',
)
_CNN_NOTE = (
    'Among the **{total} detectors and segmentors with an exchangeable CNN backbone**, **{proven}** were',
    'proven: **{share:.1%}**. These are the configs of mmdet and mmseg that detect or segment in single',
    'images and whose backbone is one of the convolutional networks that `hrnet_mm/swap/exchangeable.py`',
    'lists. Video trackers and models that read text are not among them; distillers, semi-supervised models',
    'and heads tied to one CNN are, and those of them that are refused count as not swapped.',
    '',
)


def results_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines of the table of counts, a row for each package and one for all."""
    groups = {package: [o for o in outcomes if o.package == package] for package in CODEBASES}
    rows = [(package, group) for package, group in groups.items() if group]
    return markdown_table(_HEADINGS, [_row(name, group) for name, group in (*rows, ('all', list(outcomes)))])


def results_page(outcomes: Sequence[Outcome], request: SwapRequest) -> str:
    """The whole page in Markdown."""
    command = f'tools/dev/walk_swaps.py --arch {request.arch} --necks {request.necks}'
    proven, total = cnn_share(outcomes)
    lines = [line.format(command=command) for line in _INTRODUCTION]
    lines += [*results_table(outcomes), '']
    if total:
        lines += [line.format(proven=proven, total=total, share=proven / total) for line in _CNN_NOTE]
    lines += _refusals('Refused', [o for o in outcomes if o.kind == 'refused'])
    lines += _listed('Unreadable', [o for o in outcomes if o.kind == 'unreadable'])
    lines += _listed('Failed', [o for o in outcomes if o.kind == 'failed'])
    return '\n'.join(lines).rstrip() + '\n'


def _row(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    return [name, str(len(outcomes)), *(str(count(outcomes, kind)) for kind in KINDS)]


def _refusals(title: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Every reason with how often it was given, the most frequent first in each package."""
    yield from (f'## {title}', '')
    counts = Counter((o.package, o.part, o.reason) for o in outcomes)
    order = list(CODEBASES)
    keys = sorted(counts, key=lambda key: (order.index(key[0]), -counts[key], key))
    rows = [
        [package, f'`{part}`', _escaped(reason), str(counts[package, part, reason])]
        for package, part, reason in keys
    ]
    yield from markdown_table(('package', 'what stands in the way', 'why', 'configs'), rows)
    yield ''


def _listed(title: str, outcomes: Iterable[Outcome]) -> Iterator[str]:
    yield from (f'## {title}', '')
    rows = [
        [f'`{o.name}`', _escaped(o.reason if o.kind == 'unreadable' else f'{o.part}: {o.reason}')]
        for o in outcomes
    ]
    yield from markdown_table(('config', 'why'), rows) if rows else ['None.']
    yield ''


def _escaped(text: str) -> str:
    """Fit for a cell of a table, and the same wherever the packages are installed."""
    return re.sub(r"/[^\s'\"]*/(\.mim/configs|site-packages)/", '', text).replace('|', '\\|')
