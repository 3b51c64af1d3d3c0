"""Text in pictures: names on plates, lines that break at a width."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from .pairs import Image
from .sample_look import Colour

#: Height of a line in pixels.
LINE_HEIGHT = 16
_SIZE = 12
_PAD = 3


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 mask``, ``2 masks``."""
    return f'{number} {one if number == 1 else many or f"{one}s"}'


def text_width(text: str) -> int:
    """Pixels that a text takes from left to right."""
    return int(np.ceil(_font().getlength(text)))


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines at its spaces, and where a word is too long within it.

    Args:
        text: Words.
        width: Pixels that a line may take.
    """
    lines: list[str] = ['']
    for word in text.split():
        joined = f'{lines[-1]} {word}'.strip()
        if text_width(joined) <= width:
            lines[-1] = joined
            continue
        pieces = _pieces(word, width)
        lines = [*lines, *pieces] if lines[-1] else [*lines[:-1], *pieces]
    return lines


def draw_text(pixels: Image, text: str, *, corner: tuple[int, int], colour: Colour = (0, 0, 0)) -> None:
    """Write on an RGB picture, in place.

    Args:
        pixels: (H, W, 3).
        text: One line; what reaches beyond the picture is lost.
        corner: Left and top, in pixels.
        colour: Of the letters.
    """
    strip = pixels[corner[1] : corner[1] + LINE_HEIGHT, corner[0] :]
    if not strip.size:
        return
    drawn = Pillow.fromarray(np.ascontiguousarray(strip))
    ImageDraw.Draw(drawn).text((0, 0), text, fill=colour, font=_font())
    strip[...] = np.asarray(drawn)


def draw_plate(pixels: Image, text: str, *, corner: tuple[int, int], colour: Colour) -> None:
    """Write on a field of a colour, in place, moved until all of it is in the picture if it can be.

    Args:
        pixels: (H, W, 3), RGB.
        text: One line.
        corner: Left and top, in pixels; may lie outside.
        colour: Of the field; the letters are black or white, whichever is seen better.
    """
    height, width = pixels.shape[:2]
    wide = min(width, text_width(text) + 2 * _PAD)
    left = max(0, min(corner[0], width - wide))
    top = max(0, min(corner[1], height - LINE_HEIGHT))
    pixels[top : top + LINE_HEIGHT, left : left + wide] = colour
    bright = np.dot(colour, (0.299, 0.587, 0.114)) > 140
    ink: Colour = (0, 0, 0) if bright else (255, 255, 255)
    draw_text(pixels[:, : left + wide], text, corner=(left + _PAD, top), colour=ink)


def _pieces(word: str, width: int) -> list[str]:
    pieces = ['']
    for letter in word:
        if pieces[-1] and text_width(pieces[-1] + letter) > width:
            pieces.append('')
        pieces[-1] += letter
    return pieces
