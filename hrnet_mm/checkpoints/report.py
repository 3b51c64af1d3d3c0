"""What became of the weights of a checkpoint: in a model, and in a file of another layout."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mmengine.logging import print_log

from .names import BODY

_SHOWN = 4  # items of a line
_LONGEST = 200  # letters of an item


@dataclass(frozen=True)
class LoadReport:
    """What a model got from a checkpoint.

    Args:
        source: the file.
        layout: the layout recognised.
        loaded: the model's keys that got their values.
        ignored: keys of the file that a model of this kind has no place for, as was to be expected: another
            task's head, or fusion rows for streams that the model does not produce.
        missing: the model's keys that the file says nothing about; they keep their initial values.
        unexpected: keys of the file that should have had a place.
        other_shape: the model's keys whose tensors do not fit, such as a classifier of other classes, with
            the shapes: ``file 5x2048, model 7x2048``; they were not loaded.
        notes: what was changed on the way.
    """

    source: str
    layout: str
    loaded: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other_shape: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every weight found its place."""
        return not (self.missing or self.unexpected or self.other_shape)

    @property
    def misfits(self) -> list[str]:
        """``other_shape`` as a list: ``head.fc.weight (file 5x2048, model 7x2048)``."""
        return [f'{key} ({shapes})' for key, shapes in self.other_shape.items()]

    def __str__(self) -> str:
        wanted = len(self.loaded) + len(self.missing) + len(self.other_shape)
        lines = [
            f'weights from {self.source}',
            f'layout: {self.layout}',
            f'loaded: {len(self.loaded)} of {wanted} tensors',
            *_line('known extras ignored', self.ignored, shown=_parts(self.ignored)),
            *_line('missing, left as initialised', self.missing),
            *_line('unexpected', self.unexpected),
            *_line('other shape', self.misfits),
            *(f'note: {note}' for note in self.notes),
        ]
        return '\n  '.join(lines)

    def log(self) -> None:
        """Write the report to MMEngine's log, as a warning unless it is complete."""
        print_log(str(self), logger='current', level=logging.INFO if self.complete else logging.WARNING)


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion made of a checkpoint.

    Args:
        source: the file that was read.
        layout: the layout recognised.
        target: the layout written.
        tensors: how many were written.
        folded: biases folded into the norms behind them.
        added: zero biases that the target wants.
        dropped: keys that the target has no place for.
        left: other entries of the file that were left behind.
    """

    source: str
    layout: str
    target: str
    tensors: int
    folded: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f'{self.source}: {self.layout} -> {self.target}',
            f'tensors: {self.tensors}',
            *_line('biases folded into the norms behind them', self.folded),
            *_line('zero biases added', self.added),
            *_line('dropped, the target has no place for them', self.dropped, shown=_parts(self.dropped)),
            *_line('left behind, no weights', self.left),
        ]
        return '\n  '.join(lines)


def _line(title: str, items: Sequence[str], *, shown: Sequence[str] | None = None) -> list[str]:
    """One line with how many items there are and the first few, or few of what is ``shown`` for them."""
    if not items:
        return []
    shown = items if shown is None else shown
    first = ', '.join(item[:_LONGEST] for item in shown[:_SHOWN])
    return [f'{title}: {len(items)} ({first}{", ..." if len(shown) > _SHOWN else ""})']


def _parts(keys: Iterable[str]) -> list[str]:
    """The parts of a network that keys belong to, each once: ``incre_modules``, ``head.fc``, ..."""
    stems = (re.split(r'\.\d+\.|\.[^.]+$', key.removeprefix(BODY), maxsplit=1)[0] for key in keys)
    return list(dict.fromkeys(stems))
