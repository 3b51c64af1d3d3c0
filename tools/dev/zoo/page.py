"""The page ``docs/model_zoo.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hrnet_mm.analysis.published import GIGA
from hrnet_mm.analysis.report import markdown_table

from .entries import TASKS, ZooEntry

_INTRODUCTION = (
    '# Model zoo',
    '',
    'Made by `python tools/dev/model_zoo.py` from the configs. Parameters and multiply-accumulates',
    '(MACs, of convolutions, linear layers and matrix products, for one image of the size named) are counted',
    'on the meta device. Detectors with a box head are counted with the RoIs that their RPN hands on.',
    '',
    "**Accuracies are others', as published, the authors' where they gave any; none was measured here**,",
    'and no trained weights are shipped. Run the commands from the root of the project, with the data where',
    'the mm packages document them; testing needs the checkpoint that training leaves, or any published one',
    '([checkpoints](checkpoints.md)).',
    '',
)
_HEADINGS = ('config', 'data', 'input', 'params (M)', 'MACs (G = 2^30)', 'published accuracy')


def as_page(entries: Sequence[ZooEntry]) -> str:
    """All entries, a section for each codebase."""
    lines = [*_INTRODUCTION]
    for codebase, task in TASKS.items():
        lines += _section(task, [entry for entry in entries if entry.codebase == codebase])
    return '\n'.join(lines).rstrip() + '\n'


def _section(task: str, entries: Sequence[ZooEntry]) -> Iterator[str]:
    notes = _Footnotes()
    rows = [[*size_cells(entry), _accuracy(entry, notes)] for entry in entries]
    yield from (f'## {task}', '', *markdown_table(_HEADINGS, rows), '')
    yield from notes.lines()
    yield from ('<details><summary>Commands</summary>', '', '```bash')
    for entry in entries:
        yield from (entry.train_command, entry.test_command)
    yield from ('```', '', '</details>', '')


class _Footnotes:
    """Numbers for sources, in the order they are first named."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def number(self, source: str) -> int:
        if source not in self.sources:
            self.sources.append(source)
        return self.sources.index(source) + 1

    def lines(self) -> Iterable[str]:
        notes = [f'[{number}] {source}.<br>' for number, source in enumerate(self.sources, start=1)]
        return [*notes, ''] if notes else []


def size_cells(entry: ZooEntry) -> list[str]:
    """The cells of a row that say what the network is and how large."""
    return [
        f'[{entry.name}](../configs/{entry.config})',
        entry.data,
        'x'.join(map(str, entry.shape)),
        f'{entry.size.params / 1e6:.1f}',
        f'{entry.size.macs / GIGA:.2f}',
    ]


def _accuracy(entry: ZooEntry, notes: _Footnotes) -> str:
    if entry.published is None:
        return ''
    scores = ', '.join(f'{name} {value}' for name, value in entry.published.scores.items())
    setting = f' ({entry.published.setting})' if entry.published.setting else ''
    return f'{scores}{setting} [{notes.number(entry.published.source)}]'
