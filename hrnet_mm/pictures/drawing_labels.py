"""Label maps as colours over the image, with a legend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..inference.sources import Image
from .metadata import Metadata
from .predictions import Labels
from .strokes import blank, fitting_text, paste, strokes_for, text_plate, text_width

_OPACITY = 0.55
_EDGE = 0.6  # how bright the lines between classes are
_LEAST_TEXT = 9  # pixels: a legend of many classes is written smaller, down to this
_WIDEST = 0.4  # of the image's width, for a legend
_SHARE = ' 100.0 %'


def draw_labels(canvas: Image, found: Labels, metadata: Metadata, *, least_score: float) -> None:
    """Every class in its colour, with thin dark lines between them. Scores play no part."""
    palette = np.array(metadata.colours, np.float32).reshape(-1, 3)
    known = (found.labels >= 0) & (found.labels < len(palette))
    colours = palette[found.labels[known]]
    canvas[known] = ((1 - _OPACITY) * canvas[known] + _OPACITY * colours).round().astype(np.uint8)
    edges = _edges(found)
    canvas[edges] = (canvas[edges] * _EDGE).astype(np.uint8)


def add_legend(canvas: Image, found: Labels, metadata: Metadata) -> Image:
    """The image with a legend on its right: the classes present with their shares, the largest first.

    The legend's width depends on the image's size and the names of all classes alone, so that the frames of
    a video become equally wide.
    """
    height, width = canvas.shape[:2]
    rows = _rows(found, metadata)
    size = _text_size(height, strokes_for(canvas).text, len(rows))
    column = _width(metadata, size=strokes_for(canvas).text, most=round(_WIDEST * width))
    legend = blank(height, column)
    step = round(1.4 * size)
    fitting = max(1, height // step)
    for index, (label, share) in enumerate(rows[:fitting]):
        top = index * step + step // 6
        legend[top : top + size, size // 2 : size // 2 + size] = metadata.colours[label]
        left = 2 * size
        name = fitting_text(
            metadata.names[label], size=size, width=column - left - text_width(_SHARE, size=size)
        )
        paste(legend, text_plate(f'{name} {share:.1%}', size=size), left=left, top=index * step)
    if len(rows) > fitting:
        more = text_plate(f'and {len(rows) - fitting + 1} more', size=size)
        legend[(fitting - 1) * step :] = 255
        paste(legend, more, left=size // 2, top=(fitting - 1) * step)
    return np.concatenate([canvas, legend], axis=1)


def _rows(found: Labels, metadata: Metadata) -> list[tuple[int, float]]:
    """Classes present and the share of the image that each takes."""
    labels, counts = np.unique(found.labels, return_counts=True)
    order = np.argsort(-counts, kind='stable')
    rows = [(int(labels[index]), float(counts[index] / found.labels.size)) for index in order]
    return [(label, share) for label, share in rows if 0 <= label < len(metadata.names)]


def _text_size(height: int, wanted: int, rows: int) -> int:
    return max(_LEAST_TEXT, min(wanted, int(height / (1.4 * max(rows, 1)))))


def _width(metadata: Metadata, *, size: int, most: int) -> int:
    longest = max((text_width(name, size=size) for name in metadata.names), default=0)
    return max(min(2 * size + longest + text_width(_SHARE, size=size), most), 6 * size)


def _edges(found: Labels) -> npt.NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is of another class."""
    edges = np.zeros(found.labels.shape, bool)
    edges[:, :-1] |= found.labels[:, 1:] != found.labels[:, :-1]
    edges[:-1] |= found.labels[1:] != found.labels[:-1]
    return edges
