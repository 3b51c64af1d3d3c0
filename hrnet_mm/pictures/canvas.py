"""Pieces of pictures: sizes that follow the image's, text, captions, pages of several pictures, files.

Images are RGB ``(H, W, 3)`` uint8, colours (red, green, blue).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from ..data.images import IMAGE_SUFFIXES
from .metadata import Colour

Image = npt.NDArray[np.uint8]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_LEAST_EDGE = 256  # pixels: smaller pictures are enlarged, so that text fits,
_LARGEST_EDGE = 2048  # unless the long edge became longer than this
_LEAST_CAPTION = 240  # pixels: lines above a narrower picture are this long, so that they can be read
_ASPECT = 1.6  # width over height of a page that looks well
_FONT = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'  # beyond ASCII, unlike OpenCV's


class Sizes(NamedTuple):
    """Sizes in pixels.

    Attributes:
        line: Thickness of a line.
        joint: Radius of a dot.
        text: Height of a line of text.
        gap: Between two pictures on one page.
    """

    line: int
    joint: int
    text: int
    gap: int


def sizes_for(image: Image) -> Sizes:
    """Sizes that look alike on images of all sizes."""
    edge = min(image.shape[:2])
    line = max(2, round(edge / 240))
    text = min(max(12, round(edge / 28)), 60)
    return Sizes(line=line, joint=max(3, round(1.4 * line)), text=text, gap=max(8, text // 2))


def enlargement(image: Image) -> int:
    """The least whole factor that brings the short edge to 256 pixels, and the long one not beyond 2048."""
    short, long = sorted(image.shape[:2])
    return max(1, min(-(-_LEAST_EDGE // short), _LARGEST_EDGE // long))


def blank(height: int, width: int) -> Image:
    """White paper."""
    return np.full((height, width, 3), 255, np.uint8)


def paste(canvas: Image, piece: Image, *, left: int, top: int) -> None:
    """Put a piece onto a canvas, from a place inside it; what lies beyond its edges is cut off."""
    room = canvas[top : top + piece.shape[0], left : left + piece.shape[1]]
    room[:] = piece[: room.shape[0], : room.shape[1]]


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONT), size)


def text_plate(text: str, *, size: int, colour: Colour = BLACK, ground: Colour = WHITE) -> Image:
    """One line of text on a ground of one colour, ``(1.3 * size, text_width(text), 3)``."""
    plate = Pillow.new('RGB', (text_width(text, size=size), round(1.3 * size)), ground)
    place = (max(2, size // 5), plate.height / 2)
    ImageDraw.Draw(plate).text(place, text, fill=colour, font=_font(size), anchor='lm')
    return np.array(plate, np.uint8)


def text_width(text: str, *, size: int) -> int:
    """Pixels that a plate of the text takes."""
    return round(_font(size).getlength(text)) + 2 * max(2, size // 5)


def fitting_text(text: str, *, size: int, width: int, ending: str = '…') -> str:
    """The text; where its plate is wider than ``width`` pixels, so much of it as fits, with an ending."""
    if text_width(text, size=size) <= width:
        return text
    while len(text) > 1 and text_width(text + ending, size=size) > width:
        text = text[:-1]
    return text + ending


def wrap(text: str, *, size: int, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` pixels at its spaces, and too long words within."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f'{lines[-1]} {word}', size=size) <= width:
            lines[-1] += f' {word}'
            continue
        while word:
            lines.append(fitting_text(word, size=size, width=width, ending=''))
            word = word[len(lines[-1]) :]
    return lines


def readable_on(ground: Colour) -> Colour:
    """Black or white, whichever stands out more."""
    red, green, blue = ground
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else WHITE


def captioned(image: Image, lines: Sequence[str], *, size: int) -> Image:
    """An image under lines of text, which break at its width."""
    width = max(image.shape[1], _LEAST_CAPTION)
    plates = [text_plate(part, size=size) for line in lines for part in wrap(line, size=size, width=width)]
    return page_of([*plates, image], gap=0, columns=1)


def page_of(cells: Sequence[Image], *, gap: int, columns: int | None = None) -> Image:
    """Pictures in rows and columns on white paper.

    Args:
        cells: Pictures of any sizes, at least one.
        gap: Pixels between them.
        columns: How many; None for those that make the page's shape pleasant.
    """
    height, width = cells[0].shape[:2]
    columns = min(columns or round(math.sqrt(_ASPECT * len(cells) * height / width)) or 1, len(cells))
    heights = [max(map(len, cells[start : start + columns])) + gap for start in range(0, len(cells), columns)]
    widths = [max(cell.shape[1] for cell in cells[i::columns]) + gap for i in range(columns)]
    page = blank(sum(heights) - gap, sum(widths) - gap)
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        paste(page, cell, left=sum(widths[:column]), top=sum(heights[:row]))
    return page


def picture_name(name: str) -> str:
    """The name of an image's picture: its own if that ends in a format we write, or else with ``.png`` added.

    No two names become one, not even ``a.bmp`` and ``a.bmp.png``.
    """
    path = PurePosixPath(name)
    is_written = path.suffix.lower() in ('.jpg', '.jpeg', '.png')
    has_two = PurePosixPath(path.stem).suffix.lower() in IMAGE_SUFFIXES
    return name if is_written and not has_two else f'{name}.png'


def write_image(path: Path, image: npt.NDArray[Any], settings: Sequence[int] = ()) -> None:
    """Write an RGB image or a label map in the format of the file's suffix, making its folder.

    Args:
        path: The file.
        image: ``(H, W, 3)`` uint8, or ``(H, W)`` uint8 or uint16.
        settings: OpenCV's for the format, as ``(cv2.IMWRITE_JPEG_QUALITY, 95)``.

    Raises:
        OSError: if it cannot be written.
    """
    bgr = np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)
    is_encoded, data = cv2.imencode(path.suffix.lower(), bgr, settings)
    if not is_encoded:
        raise OSError(f'OpenCV cannot encode {path}')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())
