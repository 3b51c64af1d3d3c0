"""One picture of what one or several networks found in an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..inference.sources import Image
from .drawing_boxes import draw_boxes
from .drawing_classes import add_caption
from .drawing_labels import add_legend, draw_labels
from .drawing_pose import draw_poses
from .metadata import Metadata
from .predictions import Boxes, Classes, Labels, Poses, Prediction
from .strokes import blank, enlarge, enlargement, paste, strokes_for, text_plate

LAYOUTS = ('panels', 'overlay')
_GAP = 4  # pixels between panels
_ASPECT = 1.6  # width over height of a page that looks well

#: What is drawn on the image itself, in this order: areas below, thin lines on top.
_ON_IT: Mapping[type, Callable[..., None]] = MappingProxyType(
    {Labels: draw_labels, Boxes: draw_boxes, Poses: draw_poses}
)
#: What is put beside the image.
_BESIDE: Mapping[type, Callable[[Image, Any, Metadata], Image]] = MappingProxyType(
    {Labels: add_legend, Classes: add_caption}
)


@dataclass(frozen=True)
class Layer:
    """What one network found, and how to show it."""

    title: str
    prediction: Prediction
    metadata: Metadata


def paint(
    image: Image,
    layers: Sequence[Layer],
    *,
    least_score: float,
    layout: str = 'overlay',
    enlarge_small: bool = True,
) -> Image:
    """Draw what was found.

    Args:
        image: RGB, ``(H, W, 3)``. It is not changed. Where its short edge is below 256 pixels it is enlarged
            by a whole number first.
        layers: One per network.
        least_score: Boxes and keypoints below it are left out.
        layout: ``'overlay'``, all on one image, or ``'panels'``, the image and one more for each layer.
        enlarge_small: False keeps small images at their size, as frames of a video.

    Returns:
        RGB. Images of one size give pictures of one size, whatever was found.
    """
    factor = enlargement(image) if enlarge_small else 1
    large = enlarge(image, factor)
    layers = [Layer(layer.title, layer.prediction.scaled(factor), layer.metadata) for layer in layers]
    if layout == 'overlay':
        return _overlay(large, layers, least_score=least_score)
    panels = [('image', large)]
    panels += [(layer.title, _overlay(large, [layer], least_score=least_score)) for layer in layers]
    return _page(panels, text=strokes_for(large).text)


def _overlay(image: Image, layers: Sequence[Layer], *, least_score: float) -> Image:
    canvas = image.copy()
    for kind, draw in _ON_IT.items():
        for layer in layers:
            if isinstance(layer.prediction, kind):
                draw(canvas, layer.prediction, layer.metadata, least_score=least_score)
    for kind, add in _BESIDE.items():
        for layer in layers:
            if isinstance(layer.prediction, kind):
                canvas = add(canvas, layer.prediction, layer.metadata)
    return canvas


def _page(panels: Sequence[tuple[str, Image]], *, text: int) -> Image:
    """Panels in rows, each under its title."""
    cells = [_titled(title, image, text=text) for title, image in panels]
    columns = _columns(len(cells), cells[0].shape[0], cells[0].shape[1])
    heights = [
        max(len(cell) for cell in cells[start : start + columns]) for start in range(0, len(cells), columns)
    ]
    widths = [max(cell.shape[1] for cell in cells[start::columns]) for start in range(columns)]
    page = blank(sum(heights) + _GAP * (len(heights) - 1), sum(widths) + _GAP * (columns - 1))
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        left, top = sum(widths[:column]) + _GAP * column, sum(heights[:row]) + _GAP * row
        paste(page, cell, left=left, top=top)
    return page


def _titled(title: str, image: Image, *, text: int) -> Image:
    plate = text_plate(title, size=text)
    header = blank(len(plate), image.shape[1])
    paste(header, plate, left=0, top=0)
    return np.concatenate([header, image], axis=0)


def _columns(count: int, height: int, width: int) -> int:
    """The number of columns whose page is nearest to a good shape."""

    def badness(columns: int) -> float:
        rows = -(-count // columns)
        return abs(math.log(columns * width / (rows * height) / _ASPECT))

    return min(range(1, count + 1), key=badness)
