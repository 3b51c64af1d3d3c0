"""Reading an annotation file that may be anything."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..config.errors import one_line

#: Larger files than any data set's; what is read takes about six times this much memory.
MAX_BYTES = 8 * 2**30
_LISTS = ('images', 'annotations', 'categories')


class UnreadableAnnotations(ValueError):
    """The file is no COCO annotation file; the message says why."""


def read_coco(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, list[Any]]:
    """The lists of a COCO annotation file.

    Args:
        path: The file.
        max_bytes: Refuse larger files.

    Returns:
        At least ``images``, ``annotations`` and ``categories``, each a list of dicts.

    Raises:
        UnreadableAnnotations: if it is too large, no JSON, nested too deeply, or has other contents.
    """
    content = _parse(path, max_bytes)
    if not isinstance(content, dict):
        raise UnreadableAnnotations(f'holds a {type(content).__name__}; expected an object with {_LISTS}')
    content.setdefault('annotations', [])  # files of images to test on have none
    for name in _LISTS:
        entries = content.get(name)
        if not isinstance(entries, list):
            raise UnreadableAnnotations(f'has no list {name!r}; expected {", ".join(_LISTS)}')
        wrong = next((i for i, entry in enumerate(entries) if not isinstance(entry, dict)), None)
        if wrong is not None:
            raise UnreadableAnnotations(f'{name}[{wrong}] is a {type(entries[wrong]).__name__}, no object')
    if any(isinstance(c.get(key), (list, dict)) for c in content['categories'] for key in ('id', 'name')):
        raise UnreadableAnnotations('has a category whose id or name is a list or an object')
    return content


def _parse(path: str | os.PathLike[str], max_bytes: int) -> Any:
    try:
        size = os.path.getsize(path)
        if size > max_bytes:
            raise UnreadableAnnotations(f'has {size} bytes, more than the {max_bytes} that are read')
        with open(path, encoding='utf-8') as file, _no_garbage_collection():
            return json.load(file)
    except RecursionError as error:
        raise UnreadableAnnotations('is nested too deeply to be an annotation file') from error
    except MemoryError as error:
        raise UnreadableAnnotations('does not fit into memory') from error
    except OSError as error:
        raise UnreadableAnnotations(f'cannot be read ({one_line(error)})') from error
    except UnreadableAnnotations:
        raise
    except ValueError as error:  # no JSON, no UTF-8, a number of thousands of digits
        raise UnreadableAnnotations(f'is no JSON that can be read ({one_line(error)})') from error


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of new lists make Python look for garbage among them again and again; there is none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
