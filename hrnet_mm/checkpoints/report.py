"""What became of a checkpoint, in a few lines."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.logging import print_log

_SHOWN = 4
_LONGEST = 200  # letters of a key


@dataclass(frozen=True)
class OtherShape:
    """A tensor that the model has in another shape; it was not loaded."""

    key: str
    file: tuple[int, ...]
    model: tuple[int, ...]

    def __str__(self) -> str:
        file, model = ('x'.join(map(str, shape)) or 'scalar' for shape in (self.file, self.model))
        return f'{self.key} (file {file}, model {model})'


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
        other_shape: tensors that do not fit, such as a classifier of other classes.
        notes: what was changed on the way.
    """

    source: str
    layout: str
    loaded: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other_shape: tuple[OtherShape, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every weight found its place."""
        return not (self.missing or self.unexpected or self.other_shape)

    def __str__(self) -> str:
        wanted = len(self.loaded) + len(self.missing) + len(self.other_shape)
        lines = [
            f'weights from {self.source}',
            f'layout: {self.layout}',
            f'loaded: {len(self.loaded)} of {wanted} tensors',
            *_line('known extras ignored', parts(self.ignored), len(self.ignored)),
            *_line('missing, left as initialised', self.missing, len(self.missing)),
            *_line('unexpected', self.unexpected, len(self.unexpected)),
            *_line('other shape', tuple(map(str, self.other_shape)), len(self.other_shape)),
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
            *_line('biases folded into the norms behind them', self.folded, len(self.folded)),
            *_line('zero biases added', self.added, len(self.added)),
            *_line('dropped, the target has no place for them', parts(self.dropped), len(self.dropped)),
            *_line('left behind, no weights', self.left, len(self.left)),
        ]
        return '\n  '.join(lines)


def parts(keys: Sequence[str]) -> tuple[str, ...]:
    """The parts of a network that keys belong to, each once: ``incre_modules``, ``head.fc``, ..."""
    stems = (re.split(r'\.\d+\.|\.[^.]+$', key.removeprefix('backbone.'), maxsplit=1)[0] for key in keys)
    return tuple(dict.fromkeys(stems))


def _line(title: str, items: Sequence[str], count: int) -> list[str]:
    if not count:
        return []
    shown = ', '.join(item[:_LONGEST] for item in items[:_SHOWN]) + (', ...' if len(items) > _SHOWN else '')
    return [f'{title}: {count} ({shown})']
