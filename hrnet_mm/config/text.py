"""A config's values as Python text, as a person would write them."""

from __future__ import annotations

import keyword
import math
from collections.abc import Mapping, Sequence
from typing import Any

from yapf.yapflib.yapf_api import FormatCode

_WIDTH = 110  # columns, as in configs/


def format_config(lines: Sequence[str]) -> str:
    """Lines of Python, of any length, as the text of a config file."""
    style = {'based_on_style': 'facebook', 'column_limit': _WIDTH}
    text: str = FormatCode('\n'.join(lines) + '\n', style_config=style)[0]
    return text


def spelled(value: Any) -> str:
    """A value as configs write it, on one line.

    MMEngine's ``pretty_text`` sorts keys, and writes infinity and keys that are keywords as no Python.
    """
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value):
            return f'dict({", ".join(f"{key}={spelled(item)}" for key, item in value.items())})'
        return f'{{{", ".join(f"{key!r}: {spelled(item)}" for key, item in value.items())}}}'
    if isinstance(value, (list, tuple)):
        inside = ', '.join(map(spelled, value))
        if isinstance(value, list):
            return f'[{inside}]'
        return f'({inside},)' if len(value) == 1 else f'({inside})'
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)
