"""The smallest config that, merged over another by MMEngine, gives a third: as data, as text, as a diff."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mmengine.config import Config, ConfigDict

from ..config.text import format_config, spelled

_DELETE = '_delete_'
_WIDTH = 110  # columns of a summary
_PATH_WIDTH = 40  # of keys in a summary: longer ones push their own value alone
_COMMENTS: Final = {'default_hooks': "load_from in every publisher's layout"}
_FILE_ORDER = ('custom_imports', 'model', '*', 'load_from', 'default_hooks')
_MODEL_ORDER = (_DELETE, 'type', 'data_preprocessor', 'pretrained', 'backbone', 'neck', '*')
_MISSING: Final = object()


class OverlayError(RuntimeError):
    """A change that inheritance cannot express: a fault of a rule, not of the user."""


def overlay(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What a config that inherits ``old`` has to say to become ``new``.

    Lists are replaced whole, as MMEngine does; a dict is replaced whole (``_delete_=True``) where a key
    vanishes or its ``type`` changes, and merged otherwise.

    Args:
        old: Nested plain dicts, lists and tuples.
        new: The same.

    Raises:
        OverlayError: a top-level key vanishes, or merging the result does not give ``new``.
    """
    gone = sorted(old.keys() - new.keys())
    if gone:
        raise OverlayError(f'top-level keys cannot be taken from an inherited config: {", ".join(gone)}')
    changes = copy.deepcopy(_changes(old, new))
    heir, base = (ConfigDict(copy.deepcopy(dict(config))) for config in (changes, old))
    merged = Config._merge_a_into_b(heir, base).to_dict()
    if not same(merged, new):
        raise OverlayError(f'the heir differs from what was wanted in {", ".join(_changes(new, merged))}')
    return changes


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    changes = {}
    for key, value in new.items():
        before = old.get(key, _MISSING)
        if same(before, value):
            continue
        if before is _MISSING or not isinstance(value, dict):
            changes[key] = value
        elif (
            isinstance(before, dict)
            and before.keys() <= value.keys()
            and same(before.get('type'), value.get('type'))
        ):
            changes[key] = _changes(before, value)
        else:
            changes[key] = {_DELETE: True, **value}
    return changes


def same(a: Any, b: Any) -> bool:
    """Equal in types as well, so that ``1`` is not ``True`` and a list not a tuple."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) or a is b


def config_text(base: str, changes: Mapping[str, Any]) -> str:
    """The text of a config that inherits ``base`` and says ``changes``, as a person would write it."""
    lines = [f'_base_ = {base!r}']
    for name, value in _reading_order(changes).items():
        comment = f'  # {_COMMENTS[name]}' if name in _COMMENTS else ''
        lines.append(f'{name} = {spelled(value)}{comment}')
    return format_config(lines)


def _reading_order(config: Mapping[str, Any], order: tuple[str, ...] = _FILE_ORDER) -> dict[str, Any]:
    """The same config with its entries, and its model's, in the order in which people write them."""
    keys = sorted(config, key=lambda key: order.index(key if key in order else '*'))
    ordered = {key: config[key] for key in keys}
    if order is _FILE_ORDER and isinstance(config.get('model'), Mapping):
        ordered['model'] = _reading_order(config['model'], _MODEL_ORDER)
    return ordered


def summarise(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """One ``-`` line for every value that was and one ``+`` line for every value that is, aligned.

    MMEngine's ``Config.diff`` shows lines without the keys that lead to them.
    """
    rows = [
        (sign, path, _told(value))
        for path, before, after in _differences(_reading_order(old), _reading_order(new))
        for sign, value in (('-', before), ('+', after))
        if value is not _MISSING
    ]
    width = min(_PATH_WIDTH, max((len(path) for _, path, _ in rows), default=0))
    lines = [f'{sign} {path:<{width}}  {value}' for sign, path, value in rows]
    return '\n'.join(line if len(line) <= _WIDTH else f'{line[: _WIDTH - 1]}…' for line in lines)


def _differences(
    old: Mapping[Any, Any], new: Mapping[Any, Any], path: str = ''
) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, value before and after; modules of one type, and rows of them, are told key by key."""
    for key in [*(key for key in old if key not in new), *new]:
        before, after = old.get(key, _MISSING), new.get(key, _MISSING)
        if same(before, after):
            continue
        inner = f'{path}.{key}' if path else str(key)
        if _are_modules(before) and _are_modules(after) and len(before) == len(after):
            before, after = dict(enumerate(before)), dict(enumerate(after))
        both = isinstance(before, Mapping) and isinstance(after, Mapping)
        if both and same(before.get('type'), after.get('type')):
            yield from _differences(before, after, inner)
        else:
            yield inner, before, after


def _are_modules(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, Mapping) for item in value)


def _told(value: Any, *, depth: int = 0) -> str:
    """A module as the call that makes it, parts of a module by their names; else as a config spells it."""
    if isinstance(value, Mapping) and isinstance(value.get('type'), str):
        if depth and 'checkpoint' not in value:
            return str(value['type'])
        told = (f'{key}={_told(each, depth=1)}' for key, each in value.items() if key != 'type')
        return f'{value["type"]}({", ".join(told)})'
    if _are_modules(value) and value:
        return f'[{", ".join(_told(item, depth=depth) for item in value)}]'
    return spelled(value)
