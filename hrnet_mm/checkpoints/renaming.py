"""The one renaming pass: any layout of the table to our names and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from .body import BODY, find_body, normal_key, wrapper_of
from .layouts import LAYOUTS, Layout, Names, layout_to_write


@dataclass(frozen=True)
class Recognised:
    """What the keys say.

    Args:
        layout: the row of the table.
        names: every key and its name in ours; ``None`` for what the layout does not know.
        prefix: what stands before the body.
    """

    layout: Layout
    names: dict[str, str | None]
    prefix: str

    @property
    def wrapper(self) -> str:
        """What stands before every key."""
        return wrapper_of(self.prefix)


def recognise(keys: Iterable[str], *, source: object) -> Recognised:
    """Tell the layout of a state dict by its keys.

    Raises:
        CheckpointError: there is no HRNet among them, or more than one.
    """
    keys = list(keys)
    prefix = find_body(keys, source=source)
    normal = {key: normal_key(key, prefix) for key in keys}
    present = [key for key in normal.values() if key is not None]
    namespaced = prefix != wrapper_of(prefix)
    layout = next((row for row in LAYOUTS if _shows(row, present)), None) or layout_to_write(
        'hrnet_mm' if namespaced else 'official', 'body'
    )
    return Recognised(
        layout=layout,
        names={
            key: None if name is None else _to_ours(name, layout, namespaced=namespaced)
            for key, name in normal.items()
        },
        prefix=prefix,
    )


def _shows(row: Layout, keys: Iterable[str]) -> bool:
    marks = row.marks or tuple(theirs for theirs, _ in row.names)
    return any(key.startswith(f'{mark}.') for mark in marks for key in keys)


def _to_ours(key: str, layout: Layout, *, namespaced: bool) -> str | None:
    if key.startswith(BODY):
        return key
    renamed = rename(key, layout.names)
    return key if renamed is None and layout.keeps_others and namespaced else renamed


def to_theirs(key: str, layout: Layout) -> str | None:
    """The name in ``layout``, without wrapper, of a key in our names; ``None`` where it has none."""
    if key.startswith(BODY):
        return key if layout.namespaced else key.removeprefix(BODY)
    return rename(key, tuple((ours, theirs) for theirs, ours in layout.names))


def rename(key: str, names: Names) -> str | None:
    """Rename the beginning of ``key`` by the first pair that fits; ``None`` where none does."""
    for before, after in names:
        match = _pattern(before).match(key)
        if match is not None:
            numbers = iter(match.groups())
            return re.sub(r'\*', lambda _, n=numbers: next(n), after) + key[match.end() :]  # type: ignore[misc]
    return None


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """A regular expression for a name of the table, standing at the beginning of a key."""
    return re.compile(re.escape(name).replace(r'\*', r'(\d+)') + r'(?=\.)')


def in_our_names(state: Mapping[str, Tensor], recognised: Recognised) -> dict[str, Tensor]:
    """The known tensors under our names."""
    return {name: state[key] for key, name in recognised.names.items() if name is not None}
