"""What changed, in the manner of a diff."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .config_text import reading_order, short
from .overlay import same

_WIDTH = 110
_MISSING = object()
#: Arguments that tell most about a backbone, and those that HRNet has no counterpart for, come first.
_TELLING = ('depth', 'arch', 'dcn', 'plugins', 'conv_cfg', 'frozen_stages', 'out_indices', 'init_cfg')


def summarise(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """One ``-`` line for every value that was and one ``+`` line for every value that is, aligned."""
    changes = _changes(reading_order(old), reading_order(new), '')
    lines = [line for path, before, after in changes for line in _lines(path, before, after)]
    width = max((len(path) for _, path, _ in lines), default=0)
    return '\n'.join(_cut(f'{sign} {path:<{width}}  {value}') for sign, path, value in lines)


def _lines(path: str, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    for sign, value in (('-', before), ('+', after)):
        if value is not _MISSING:
            yield sign, path, _told(value)


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    for key in _keys(old, new):
        before, after = old.get(key, _MISSING), new.get(key, _MISSING)
        inner = f'{path}.{key}' if path else str(key)
        if before is not _MISSING and after is not _MISSING and same(before, after):
            continue
        if _is_same_kind(before, after):
            yield from _changes(before, after, inner)
        elif _is_same_list(before, after):
            yield from _changes(dict(enumerate(before)), dict(enumerate(after)), inner)
        else:
            yield inner, before, after


def _keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """All keys in the new one's order, those that vanished first."""
    return [*(key for key in old if key not in new), *new]


def _is_same_kind(before: Any, after: Any) -> bool:
    """Whether two values are modules of one type, or plain dicts, which are told key by key."""
    both = isinstance(before, Mapping) and isinstance(after, Mapping)
    return both and same(before.get('type'), after.get('type'))


def _is_same_list(before: Any, after: Any) -> bool:
    """Whether two values are lists of as many modules, which are told one by one."""
    both = isinstance(before, (list, tuple)) and isinstance(after, (list, tuple))
    return both and len(before) == len(after) and all(isinstance(x, Mapping) for x in (*before, *after))


def _told(value: Any, *, depth: int = 0) -> str:
    """A module as the call that makes it, parts of a module by their names; else as a config spells it."""
    if isinstance(value, Mapping) and isinstance(value.get('type'), str):
        return value['type'] + (_arguments(value) if depth == 0 or 'checkpoint' in value else '')
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, Mapping) for item in value):
        return f'[{", ".join(_told(item, depth=depth) for item in value)}]'
    return short(value)


def _arguments(module: Mapping[str, Any]) -> str:
    keys = sorted((key for key in module if key != 'type'), key=_rank)
    return f'({", ".join(f"{key}={_told(module[key], depth=1)}" for key in keys)})'


def _rank(key: str) -> int:
    return _TELLING.index(key) if key in _TELLING else len(_TELLING)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f'{line[: _WIDTH - 1]}…'
