"""Pictures with captions and legends, alone and side by side on a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from .pairs import Image
from .sample_drawing import Canvas, Swatch
from .sample_text import LINE_HEIGHT, draw_text, text_width, wrap

_WHITE = 255
_GAP = 8
_SWATCH = 12
_MIN_WIDTH = 240  # a narrower picture gets white beside it, so that its caption can be read
_CELL = 320  # the longest edge of a picture on the sheet
_MAX_SHEET = 4096  # width of a sheet in pixels: cells shrink where there are very many


def framed(canvas: Canvas, *, title: str) -> Image:
    """The picture at full size, title and notes above it, legend below."""
    return _framed(canvas.pixels, [title, '; '.join(canvas.notes)], canvas.legend)


class ContactSheet:
    """Collects small pictures, and lays them out in rows.

    Args:
        count: How many there will be.
    """

    def __init__(self, count: int) -> None:
        self._columns = max(1, math.ceil(math.sqrt(count)))
        self._cell = min(_CELL, max(64, _MAX_SHEET // self._columns - _GAP))
        self._cells: list[Image] = []

    def add(self, canvas: Canvas, *, title: str) -> None:
        """Add a picture, made smaller where it has to be."""
        small = _shrunk(canvas.pixels, self._cell)
        width = min(self._cell, max(_MIN_WIDTH, small.shape[1]))
        self._cells.append(_framed(small, [title, '; '.join(canvas.notes)], canvas.legend, width=width))

    def draw(self) -> Image:
        """All pictures in rows.

        Raises:
            ValueError: if there is none.
        """
        if not self._cells:
            raise ValueError('no pictures on the sheet; expected at least one')
        columns = min(self._columns, len(self._cells))
        rows = [self._cells[i : i + columns] for i in range(0, len(self._cells), columns)]
        width = max(cell.shape[1] for cell in self._cells) + _GAP
        return np.concatenate([_row(row, columns * width, width) for row in rows])


def _framed(
    pixels: Image, lines: Sequence[str], legend: Sequence[Swatch], *, width: int = _MIN_WIDTH
) -> Image:
    width = max(width, pixels.shape[1])
    above = [part for line in lines for part in wrap(line, width)]
    caption = _paper(LINE_HEIGHT * len(above), width)
    for number, line in enumerate(above):
        draw_text(caption, line, corner=(0, LINE_HEIGHT * number))
    middle = _paper(pixels.shape[0], width)
    middle[:, : pixels.shape[1]] = pixels
    return np.concatenate([caption, middle, _legend(legend, width)])


def _legend(swatches: Sequence[Swatch], width: int) -> Image:
    """Fields of colour with their texts, as many to a line as fit."""
    places: list[tuple[int, int]] = []
    left, line = 0, 0
    for swatch in swatches:
        wide = _SWATCH + 4 + text_width(swatch.text) + _GAP
        if left and left + wide > width:
            left, line = 0, line + 1
        places.append((left, line))
        left += wide
    paper = _paper((line + 1) * LINE_HEIGHT if swatches else 0, width)
    for swatch, (left, line) in zip(swatches, places, strict=True):
        field = Canvas(pixels=_paper(_SWATCH, _SWATCH), scale=1)
        # at full strength: in the picture the colour covers the image in part
        field.fill(np.ones((_SWATCH, _SWATCH), bool), swatch.colours, opacity=1)
        top = line * LINE_HEIGHT + 2
        shown = paper[top : top + _SWATCH, left : left + _SWATCH]
        shown[...] = field.pixels[:, : shown.shape[1]]
        draw_text(paper, swatch.text, corner=(left + _SWATCH + 4, line * LINE_HEIGHT))
    return paper


def _row(cells: Sequence[Image], width: int, step: int) -> Image:
    paper = _paper(max(len(cell) for cell in cells) + _GAP, width)
    for number, cell in enumerate(cells):
        paper[: len(cell), number * step : number * step + cell.shape[1]] = cell
    return paper


def _shrunk(pixels: Image, longest: int) -> Image:
    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _paper(height: int, width: int) -> Image:
    return np.full((height, width, 3), _WHITE, np.uint8)
