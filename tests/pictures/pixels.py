"""Asking pictures about their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
Box = tuple[float, float, float, float]


def flat(colour: Sequence[int] = GREY, *, size: tuple[int, int] = (200, 240)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def is_colour(pixels: np.ndarray, colour: Sequence[float], within: int = 40) -> np.ndarray:
    return np.abs(pixels.astype(int) - np.asarray(colour)).max(axis=-1) <= within


def extent(where: np.ndarray) -> Box:
    """Left, top, right, bottom of the pixels that are on."""
    rows, columns = np.nonzero(where)
    assert rows.size, 'nothing of this colour'
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
