"""A config as a person would write it."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping
from typing import Any

_WIDTH = 110  # columns, as in configs/
_INDENT = '    '
_COMMENTS = {'default_hooks': "load_from in every publisher's layout"}
_FILE_ORDER = ('custom_imports', 'model', '*', 'load_from', 'default_hooks')
_MODEL_ORDER = ('_delete_', 'type', 'data_preprocessor', 'pretrained', 'backbone', 'neck', '*')


def config_text(base: str, changes: Mapping[str, Any]) -> str:
    """The text of a config that inherits ``base`` and says ``changes``."""
    statements = (_statement(name, value) for name, value in reading_order(changes).items())
    return '\n'.join([f'_base_ = {base!r}', *statements]) + '\n'


def reading_order(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same config with its entries, and its model's, in the order in which people write them."""
    ordered = _in_order(config, _FILE_ORDER)
    if isinstance(ordered.get('model'), Mapping):
        ordered['model'] = _in_order(ordered['model'], _MODEL_ORDER)
    return ordered


def _in_order(values: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    """The same entries: those that are named in ``order``, where ``'*'`` stands for the others."""
    return {key: values[key] for key in sorted(values, key=lambda k: order.index(k if k in order else '*'))}


def short(value: Any) -> str:
    """A value in config spelling, on one line."""
    return _flat(value)


def _statement(name: str, value: Any) -> str:
    comment = _COMMENTS.get(name)
    text = _entry(f'{name} = ', value, depth=0, tail=0)
    return text if comment is None else f'{text}  # {comment}'


def _entry(head: str, value: Any, *, depth: int, tail: int) -> str:
    """``head`` and the value, broken into lines where one does not suffice; ``tail`` columns stay free."""
    line = f'{_INDENT * depth}{head}{_flat(value)}'
    if len(line) + tail <= _WIDTH or not isinstance(value, (Mapping, list, tuple)) or not value:
        return line
    opening, items, closing = _parts(value)
    alone = len(items) == 1 and not isinstance(value, tuple)
    together = f'{_INDENT * (depth + 1)}{", ".join(key + _flat(item) for key, item in items)}'
    if len(together) <= _WIDTH and not isinstance(value, (list, tuple)) and _is_call(opening):
        body = together
    else:
        comma = '' if alone and _is_call(opening) else ','
        body = '\n'.join(_entry(key, item, depth=depth + 1, tail=len(comma)) + comma for key, item in items)
    return f'{_INDENT * depth}{head}{opening}\n{body}\n{_INDENT * depth}{closing}'


def _is_call(opening: str) -> bool:
    return opening == 'dict('


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Opening bracket, items with what is written before them, closing bracket."""
    if isinstance(value, Mapping):
        if _are_names(value):
            return 'dict(', [(f'{key}=', item) for key, item in value.items()], ')'
        return '{', [(f'{key!r}: ', item) for key, item in value.items()], '}'
    brackets = '()' if isinstance(value, tuple) else '[]'
    return brackets[0], [('', item) for item in value], brackets[1]


def _flat(value: Any) -> str:
    if isinstance(value, (Mapping, list, tuple)):
        opening, items, closing = _parts(value)
        inside = ', '.join(head + _flat(item) for head, item in items)
        comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
        return f'{opening}{inside}{comma}{closing}'
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)


def _are_names(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value)
