"""The smallest config that, merged over another by MMEngine, gives a third."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict

_DELETE = '_delete_'


class OverlayError(RuntimeError):
    """A change that inheritance cannot express: a fault of a rule, not of the user."""


def overlay(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What a heir of ``old`` has to say to become ``new``.

    Lists are replaced whole, as MMEngine does; a dict is replaced whole (``_delete_=True``) where a key
    vanishes or its ``type`` changes, and merged otherwise.

    Raises:
        OverlayError: a top-level key vanishes, or merging the result does not give ``new``.
    """
    old, new = dict(plain(old)), dict(plain(new))
    gone = sorted(old.keys() - new.keys())
    if gone:
        raise OverlayError(f'top-level keys cannot be taken from an inherited config: {", ".join(gone)}')
    result = _changes(old, new)
    merged = merge(old, result)
    if not same(merged, new):
        raise OverlayError(f'the heir differs from what was wanted in {", ".join(_changes(new, merged))}')
    return result


def merge(old: Mapping[str, Any], heir: Mapping[str, Any]) -> dict[str, Any]:
    """``heir`` merged over ``old`` as MMEngine reads a file with a ``_base_``."""
    base = ConfigDict(copy.deepcopy(dict(old)))
    return plain(Config._merge_a_into_b(ConfigDict(copy.deepcopy(dict(heir))), base))


def plain(value: Any) -> Any:
    """A deep copy in which every dict is a plain ``dict``."""
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    if isinstance(value, Config):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return copy.deepcopy(value)


def same(a: Any, b: Any) -> bool:
    """Equal in types as well, so that ``1`` is not ``True`` and a list not a tuple."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) or a is b


def _changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {key: _change(old, key, new[key]) for key in new if key not in old or not same(old[key], new[key])}


def _change(old: dict[str, Any], key: str, value: Any) -> Any:
    if key not in old or not isinstance(value, dict):
        return value
    before = old[key]
    if not isinstance(before, dict) or _is_replaced(before, value):
        return {_DELETE: True, **value}
    return _changes(before, value)


def _is_replaced(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return bool(old.keys() - new.keys()) or not same(old.get('type'), new.get('type'))
