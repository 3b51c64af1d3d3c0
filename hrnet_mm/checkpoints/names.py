"""The keys of a state dict: whose layout they are, and each key's name in ours and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from .files import CheckpointError
from .layouts import LAYOUTS, Layout, Names, layout_to_write

#: What the body's keys start with, in our names.
BODY = 'backbone.'
#: What the name of a key starts with that its layout does not know.
UNKNOWN = '?'

_BODY_AT_THE_END = re.compile(r'(.*\.)?backbone\.')
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
    prefix = _the_body_prefix(keys, source=source)
    under_backbone = _BODY_AT_THE_END.fullmatch(prefix)
    wrapper = prefix if under_backbone is None else under_backbone.group(1) or ''
    normal = {key: _without_wrapper(key, prefix, wrapper) for key in keys}
    layout = next((row for row in LAYOUTS if _shows(row, normal.values())), None)
    if layout is None:
        layout = layout_to_write('hrnet_mm' if under_backbone else 'official', 'body')

    def our_name(key: str) -> str | None:
        if key.startswith(BODY):
            return key
        keeps = layout.keeps_others and under_backbone
        return rename(key, layout.names) or (key if keeps else None)

    return Recognised(
        layout, {key: our_name(short) or UNKNOWN + key for key, short in normal.items()}, prefix
    )


def _the_body_prefix(keys: list[str], *, source: object) -> str:
    prefixes = body_prefixes(keys)
    if len(prefixes) == 1:
        return prefixes[0]
    if prefixes:
        raise CheckpointError(
            source=source,
            problem=f'holds several HRNets, under {", ".join(map(repr, prefixes))}',
            expected='one',
        )
    raise CheckpointError(
        source=source,
        problem=f'is of another network than HRNet (its keys begin {", ".join(keys[:3])})',
        expected='the keys conv1, layer1, transition1 ... stage4 of an HRNet, with any prefix',
    )


def _without_wrapper(key: str, prefix: str, wrapper: str) -> str:
    """A key without its wrapper, the body's under ``backbone.``; empty for keys outside the wrapper."""
    if key.startswith(prefix):
        rest = key.removeprefix(prefix)
        return BODY + rest if _BODY_MODULE.match(rest) else rest
    return key.removeprefix(wrapper) if key.startswith(wrapper) else ''


def _shows(row: Layout, keys: Iterable[str]) -> bool:
    marks = tuple(f'{mark}.' for mark in row.marks or [theirs for theirs, _ in row.names])
    return any(key.startswith(marks) for key in keys)


def to_theirs(name: str, layout: Layout) -> str | None:
    """The key in ``layout``, without wrapper, of a name of ours; ``None`` where it has none."""
    if name.startswith(BODY):
        return name if layout.namespaced else name.removeprefix(BODY)
    return rename(name, tuple((ours, theirs) for theirs, ours in layout.names))


def rename(key: str, names: Names) -> str | None:
    """Rename the beginning of ``key`` by the first pair that fits; ``None`` where none does."""
    for before, after in names:
        match = _pattern(before).match(key)
        if match is not None:
            number = match.group(1) if match.groups() else ''
            return after.replace('*', number) + key[match.end() :]
    return None


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """A regular expression for a name of the table, standing at the beginning of a key."""
    return re.compile(re.escape(name).replace(r'\*', r'(\d+)') + r'(?=\.)')
