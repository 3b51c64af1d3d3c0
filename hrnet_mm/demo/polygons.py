"""Masks as COCO polygons that decode to exactly the same pixels."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]


def mask_polygons(mask: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Outline a mask (H, W) along the edges of its pixels.

    COCO polygons know no holes, so a piece with a hole is cut in two through it. Each polygon is
    x0, y0, x1, y1, ... in pixels, where pixel (column, row) reaches from (column, row) to
    (column + 1, row + 1).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    patch = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    return [_outline(piece, offset=(left, top)) for piece in _solid_pieces(patch)]


def _solid_pieces(mask: Mask) -> Iterator[Mask]:
    """Split a mask into connected pieces (by edges, not corners) without holes."""
    count, pieces = cv2.connectedComponents(mask, connectivity=4)
    for number in range(1, count):
        piece = np.asarray(pieces == number, np.uint8)
        column = _hole_column(piece)
        if column is None:
            yield piece
            continue
        left, right = piece.copy(), piece.copy()
        left[:, column:], right[:, :column] = 0, 0
        yield from _solid_pieces(left)
        yield from _solid_pieces(right)


def _hole_column(piece: Mask) -> int | None:
    """A column through a hole of the piece, or None if it has no hole.

    Gaps are told apart by edges alone: one that opens only through a corner is cut as well, so that
    no outline touches itself.
    """
    count, gaps = cv2.connectedComponents(np.pad(1 - piece, 1, constant_values=1), connectivity=4)
    outside = gaps[0, 0]
    for number in range(1, count):
        if number != outside:
            columns = np.flatnonzero((gaps == number).any(axis=0)) - 1
            return int(columns[len(columns) // 2])
    return None


def _outline(piece: Mask, *, offset: tuple[int, int]) -> list[int]:
    """The one polygon around a piece, corners only, moved by `offset` (x, y) pixels."""
    doubled = np.repeat(np.repeat(piece, 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # In the doubled picture a pixel's edges lie on its outer sub-pixels 2x and 2x + 1.
    corners = (np.asarray(contours[0])[:, 0] + 1) // 2
    corners = corners[np.any(corners != np.roll(corners, 1, axis=0), axis=1)]
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return [int(value) for value in (corners[turns] + offset).ravel()]
