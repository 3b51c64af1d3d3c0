"""What all drawings share: sizes that follow the image's, text, and small pieces of picture.

Images are RGB ``(H, W, 3)`` uint8, colours (red, green, blue).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ..inference.sources import Image
from .metadata import Colour

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_LEAST_EDGE = 256  # pixels: smaller pictures are enlarged, so that text fits,
_LARGEST_EDGE = 2048  # unless the long edge became longer than this
_FONT = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'  # beyond ASCII, unlike OpenCV's


@dataclass(frozen=True)
class Strokes:
    """Sizes in pixels.

    Attributes:
        line: Thickness of a line.
        joint: Radius of a dot.
        text: Height of a line of text.
    """

    line: int
    joint: int
    text: int


def strokes_for(image: Image) -> Strokes:
    """Sizes that look alike on images of all sizes."""
    edge = min(image.shape[:2])
    line = max(2, round(edge / 240))
    return Strokes(line=line, joint=max(3, round(1.4 * line)), text=min(max(12, round(edge / 28)), 60))


def enlargement(image: Image) -> int:
    """The least whole factor that brings the short edge to 256 pixels, and the long one not beyond 2048."""
    short, long = sorted(image.shape[:2])
    return max(1, min(-(-_LEAST_EDGE // short), _LARGEST_EDGE // long))


def enlarge(image: Image, factor: int) -> Image:
    """A copy, ``factor`` times as high and wide."""
    if factor == 1:
        return image.copy()
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def text_plate(text: str, *, size: int, colour: Colour = BLACK, ground: Colour = WHITE) -> Image:
    """One line of text on a ground of one colour, ``(1.3 * size, as wide as the text, 3)``."""
    font = _font(size)
    pad = max(2, size // 5)
    plate = Pillow.new('RGB', (round(font.getlength(text)) + 2 * pad, round(1.3 * size)), ground)
    ImageDraw.Draw(plate).text((pad, plate.height / 2), text, fill=colour, font=font, anchor='lm')
    return np.array(plate, np.uint8)


def fitting_text(text: str, *, size: int, width: int) -> str:
    """The text, shortened with an ellipsis where it is wider than ``width`` pixels."""
    font = _font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f'{text}…') > width:
        text = text[:-1]
    return f'{text}…'


def text_width(text: str, *, size: int) -> int:
    """Pixels that a plate of the text takes."""
    return round(_font(size).getlength(text)) + 2 * max(2, size // 5)


def readable_on(ground: Colour) -> Colour:
    """Black or white, whichever stands out more."""
    red, green, blue = ground
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


def paste(canvas: Image, piece: Image, *, left: int, top: int) -> None:
    """Put a piece onto a canvas; what lies beyond its edges is cut off."""
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + piece.shape[1], width), min(top + piece.shape[0], height)
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = piece[y0 - top : y1 - top, x0 - left : x1 - left]


def blank(height: int, width: int) -> Image:
    """White paper."""
    return np.full((height, width, 3), 255, np.uint8)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT), size)
