"""The classes of a whole image as a caption under it."""

from __future__ import annotations

import numpy as np

from ..inference.sources import Image
from .metadata import Colour, Metadata
from .predictions import TOP, Classes
from .strokes import blank, fitting_text, strokes_for, text_plate, text_width

_BAR: Colour = (120, 170, 230)
_SHARE = '100.0 %'


def add_caption(canvas: Image, found: Classes, metadata: Metadata) -> Image:
    """The image with up to five lines under it: class, score, and the score as a bar behind them."""
    size = strokes_for(canvas).text
    step = round(1.5 * size)
    width = canvas.shape[1]
    caption = blank(step * min(TOP, len(metadata.names)) + step // 3, width)
    for index, (label, score) in enumerate(zip(found.labels, found.scores, strict=True)):
        top = step // 6 + index * step
        row = caption[top : top + step - 2]
        row[:, : round(width * float(np.clip(score, 0, 1)))] = _BAR
        right = text_width(_SHARE, size=size)
        name = fitting_text(metadata.names[int(label)], size=size, width=width - right - size)
        _write(row, name, left=0, size=size)
        _write(row, f'{score:.1%}', left=width - right, size=size)
    return np.concatenate([canvas, caption], axis=0)


def _write(row: Image, text: str, *, left: int, size: int) -> None:
    """Black text over what is there, be it bar or paper."""
    plate = text_plate(text, size=size)[: len(row)]
    there = row[: len(plate), left : left + plate.shape[1]]
    np.multiply(there, plate[:, : there.shape[1]] / 255.0, out=there, casting='unsafe')
