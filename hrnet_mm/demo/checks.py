"""Checks of arguments: each complaint names the argument, its value and what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np

#: The smallest height and width of a scene in pixels; people would be mere dots below it.
MIN_SIDE = 96

#: The most people a scene may hold.
MAX_PEOPLE = 40


def check_whole(name: str, value: object, *, least: int) -> None:
    """Require a whole number of at least `least`."""
    if not _is_whole(value) or value < least:
        raise ValueError(f'{name}={value!r}: expected a whole number of at least {least}')


def check_size(size: object) -> None:
    """Require (height, width) in pixels, both large enough to draw a person."""
    pair = _as_pair(size)
    if pair is None or min(pair) < MIN_SIDE:
        raise ValueError(f'size={size!r}: expected (height, width) in pixels, each at least {MIN_SIDE}')


def check_people(people: object) -> None:
    """Require (least, most) people a scene."""
    pair = _as_pair(people)
    if pair is None or not 0 <= pair[0] <= pair[1] <= MAX_PEOPLE:
        raise ValueError(f'people={people!r}: expected (least, most) with 0 <= least <= most <= {MAX_PEOPLE}')


def _as_pair(value: object) -> tuple[int, int] | None:
    if isinstance(value, Sequence) and len(value) == 2 and all(map(_is_whole, value)):
        return int(value[0]), int(value[1])
    return None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
