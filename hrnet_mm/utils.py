"""What every room may use: atomic files, nested containers, tables of text, silence, random states."""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger

#: Ends the name of a file that is being written.
UNFINISHED = '.tmp'


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which becomes ``path`` at the end: the file is whole or as it was before.

    The content is brought to the disk first, so that this holds in a power cut too.

    Yields:
        A path beside the target, with the target's suffix before ``.tmp``.

    Raises:
        OSError: the file cannot be written; nothing of it is left.
    """
    target = Path(path)
    aside = target.with_name(target.name + UNFINISHED)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
        for changed in (aside, target.parent):
            handle = os.open(changed, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if changed == aside:
                os.replace(aside, target)
    finally:
        with suppress(OSError):
            aside.unlink()


def map_leaves(node: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of nested dicts, lists and tuples with ``change`` applied to everything else in them."""
    if isinstance(node, dict):
        return type(node)({key: map_leaves(value, change) for key, value in node.items()})
    if type(node) in (list, tuple):
        return type(node)(map_leaves(value, change) for value in node)
    return change(node)


def iter_dicts(node: Any, key: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dict in nested dicts, lists and tuples, outer ones first, with its dotted key."""
    if isinstance(node, dict):
        yield key, node
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if type(node) in (list, tuple) else ()
    for name, value in list(pairs):
        yield from iter_dicts(value, f'{key}.{name}' if key else str(name))


def listed(values: Sequence[object]) -> str:
    """The first ten of some values in words, with dots where there are more."""
    return ', '.join(map(str, values[:10])) + (', ...' if len(values) > 10 else '')


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines of aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    rule = ['---'] + ['---:'] * (len(header) - 1)
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (header, rule, *rows))


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, and nothing below them in the log, for work that is judged by its result."""
    before = logging.root.manager.disable
    _disable_log(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        _disable_log(before)


def _disable_log(level: int) -> None:
    logging.disable(level)
    for logger in MMLogger._instance_dict.values():
        logger._cache.clear()  # logging does so for loggers in its own table, where MMEngine's are not


@contextmanager
def random_states_kept() -> Iterator[None]:
    """The random states of Python, NumPy and torch, on all devices, are put back at the end."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
