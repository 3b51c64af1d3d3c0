"""Objects as boxes with their class and score, and their masks where there are any."""

from __future__ import annotations

import cv2
import numpy as np

from ..inference.sources import Image
from .metadata import Colour, Metadata
from .predictions import Boxes
from .strokes import Strokes, paste, readable_on, strokes_for, text_plate

_OPACITY = 0.45


def draw_boxes(canvas: Image, found: Boxes, metadata: Metadata, *, least_score: float) -> None:
    """Boxes with at least ``least_score``, the surest on top."""
    strokes = strokes_for(canvas)
    found = found.with_score(least_score)
    order = range(len(found.scores))[::-1]
    for index in order if found.masks is not None else ():
        _draw_mask(canvas, found, index, metadata.colours[found.labels[index]])
    for index in order:
        label = int(found.labels[index])
        text = f'{metadata.names[label]} {found.scores[index]:.2f}'
        _draw_box(canvas, found.boxes[index], text, metadata.colours[label], strokes)


def _draw_mask(canvas: Image, found: Boxes, index: int, colour: Colour) -> None:
    assert found.masks is not None  # asked before
    mask = found.masks[index]
    mixed = (1 - _OPACITY) * canvas[mask] + _OPACITY * np.array(colour, np.float32)
    canvas[mask] = mixed.round().astype(np.uint8)


def _draw_box(canvas: Image, box: np.ndarray, text: str, colour: Colour, strokes: Strokes) -> None:
    height, width = canvas.shape[:2]
    corners = np.nan_to_num(box).clip(-1, [width, height, width, height]).round().astype(int)
    left, top, right, bottom = (int(value) for value in corners)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, strokes.line)
    plate = text_plate(text, size=strokes.text, colour=readable_on(colour), ground=colour)
    above = top - plate.shape[0]
    # inside the box where the image ends above it, and moved left where it ends on the right
    paste(
        canvas,
        plate,
        left=max(0, min(left, width - plate.shape[1])),
        top=above if above >= 0 else max(top, 0),
    )
