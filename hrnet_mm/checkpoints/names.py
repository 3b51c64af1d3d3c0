"""The keys of a state dict: whose layout they are, and each key's name in ours and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .files import CheckpointError
from .layouts import LAYOUTS, Layout, Names, layout_to_write

#: What the body's keys start with, in our names.
BODY = 'backbone.'
#: What the name of a key starts with that its layout does not know.
UNKNOWN = '?'

_ANCHOR = re.compile(r'(.*\.)?layer1\.0\.conv1\.weight')
#: Must stand beside the anchor for the network to be an HRNet.
_WITNESSES = ('conv1.weight', 'conv2.weight', 'stage4.0.branches.0.0.conv1.weight')
_BODY_MODULE = re.compile(r'(conv[12]|(bn|gn|in|ln|syncbn)[12]|layer1|transition\d|stage\d)\.')


@dataclass(frozen=True)
class Recognised:
    """What the keys of a state dict say.

    Args:
        layout: the row of the table.
        names: every key and its name in ours; ``?`` and the key where the layout does not know it.
        prefix: what stands before the body.
    """

    layout: Layout
    names: dict[str, str]
    prefix: str


def body_prefixes(keys: Iterable[str]) -> list[str]:
    """What stands before each HRNet body among ``keys``: ``''``, ``'backbone.'``, ``'module.model.'``..."""
    keys = set(keys)
    found = (match.group(1) or '' for match in map(_ANCHOR.fullmatch, keys) if match)
    return sorted(prefix for prefix in found if all(prefix + witness in keys for witness in _WITNESSES))


def recognise(keys: Iterable[str], *, source: object) -> Recognised:
    """Tell the layout of a state dict by its keys.

    Raises:
        CheckpointError: there is no HRNet among them, or more than one.
    """
    keys = list(keys)
    prefixes = body_prefixes(keys)
    if len(prefixes) != 1:
        several = f'holds several HRNets, under {", ".join(map(repr, prefixes))}'
        another = f'is of another network than HRNet (its keys begin {", ".join(keys[:3])})'
        raise CheckpointError(
            source=source,
            problem=several if prefixes else another,
            expected='the keys conv1, layer1, transition1 ... stage4 of one HRNet, with any prefix',
        )
    (prefix,) = prefixes
    under_backbone = f'.{prefix}'.endswith(f'.{BODY}')
    wrapper = prefix.removesuffix(BODY) if under_backbone else prefix
    bare = {key: _without_wrapper(key, prefix, wrapper) for key in keys}
    layout = next((row for row in LAYOUTS if _shows(row, bare.values())), None)
    if layout is None:
        layout = layout_to_write('hrnet_mm' if under_backbone else 'official', 'body')

    def our_name(key: str) -> str | None:
        keeps = key.startswith(BODY) or (layout.keeps_others and under_backbone)
        return rename(key, layout.names) or (key if keeps else None)

    names = {key: our_name(short) or f'{UNKNOWN}{key}' for key, short in bare.items()}
    return Recognised(layout, names, prefix)


def _without_wrapper(key: str, prefix: str, wrapper: str) -> str:
    """A key without its wrapper, the body's under ``backbone.``; empty for keys outside the wrapper."""
    if key.startswith(prefix):
        rest = key.removeprefix(prefix)
        return BODY + rest if _BODY_MODULE.match(rest) else rest
    return key.removeprefix(wrapper) if key.startswith(wrapper) else ''


def _shows(row: Layout, keys: Iterable[str]) -> bool:
    marks = tuple(f'{mark}.' for mark in row.marks or row.names)
    return any(key.startswith(marks) for key in keys)


def to_theirs(name: str, layout: Layout) -> str | None:
    """The key in ``layout``, without wrapper, of a name of ours; ``None`` where it has none."""
    if name.startswith(BODY):
        return name if layout.namespaced else name.removeprefix(BODY)
    return rename(name, {ours: theirs for theirs, ours in layout.names.items()})


def rename(key: str, names: Names) -> str | None:
    """Rename the beginning of ``key`` by the first pair that fits; ``None`` where none does."""
    for before, after in names.items():
        if key.startswith(f'{before}.'):
            return after + key.removeprefix(before)
    return None
