"""One painter for all pictures: label maps, masks, boxes, skeletons and classes on an image and beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import (
    BLACK,
    WHITE,
    Image,
    blank,
    captioned,
    enlargement,
    fitting_text,
    page_of,
    paste,
    readable_on,
    sizes_for,
    text_plate,
    text_width,
)
from .metadata import IGNORED, Colour, Metadata
from .predictions import Boxes, Classes, Labels, Numbers, Poses, Prediction

LAYOUTS = ('panels', 'overlay')
_OPACITY = 0.5
_STRIPE = 4  # pixels
_EDGE = 0.6  # how bright the lines between classes are
_WIDEST = 0.4  # of the image's width, for a legend
_NO_NAME = '255: NO CLASS'  # as Metadata has it
_RED: Colour = (255, 0, 0)
_BAR: Colour = (120, 170, 230)
_NOTE: Colour = (255, 255, 160)
_FAR = 2**15  # pixels: what OpenCV draws to must be a small number, wherever a network points
_SPACING = 0.3  # of the way to the nearest other keypoint, for a dot's radius: faces of 68 can be seen

_Mask = npt.NDArray[np.bool_]
_Rectangle = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Layer:
    """What one network found, or the truth, and how to show it."""

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
    panels: dict[str, Sequence[Layer]] = {'': layers}
    if layout == 'panels':
        panels = {'image': [], **{layer.title: [layer] for layer in layers}}
    return _page(image, panels, least_score=least_score, enlarge_small=enlarge_small)


def paint_pair(
    image: Image, truth: Sequence[Layer], prediction: Sequence[Layer], *, least_score: float
) -> Image:
    """The truth on the left, the prediction on the right, each under a caption; one legend for both.

    Args:
        image: As for ``paint``.
        truth: Layers of the left picture; without any it is the image alone.
        prediction: Layers of the right picture.
        least_score: As for ``paint``.
    """
    panels = {'truth' if truth else 'no truth': truth, 'prediction': prediction}
    return _page(image, panels, least_score=least_score, columns=2)


def _page(
    image: Image,
    panels: Mapping[str, Sequence[Layer]],
    *,
    least_score: float,
    enlarge_small: bool = True,
    columns: int | None = None,
) -> Image:
    """Panels under their titles, and to their right a legend for all label maps of the same classes."""
    factor = enlargement(image) if enlarge_small else 1
    large = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)
    old, new, sizes = image.shape[:2], large.shape[:2], sizes_for(large)
    cells: list[Image] = []
    maps: dict[Metadata, dict[str, Labels]] = {}
    for title, layers in panels.items():
        layers = [replace(layer, prediction=layer.prediction.resized(old, new)) for layer in layers]
        cells.append(captioned(_drawn(large, layers, least_score), [title], size=sizes.text))
        for layer in layers:
            if isinstance(layer.prediction, Labels):
                maps.setdefault(layer.metadata, {})[title] = layer.prediction
    legends = [
        captioned(_legend(metadata, list(found.values()), like=large), [' | '.join(found)], size=sizes.text)
        for metadata, found in maps.items()
    ]
    return page_of(
        [page_of(cells, gap=sizes.gap, columns=columns), *legends], gap=0, columns=1 + len(legends)
    )


def _drawn(image: Image, layers: Sequence[Layer], least_score: float) -> Image:
    """A copy of the image: areas below, thin lines on top, plates of text above all, classes under it."""
    canvas = image.copy()
    plates: list[_Rectangle] = []
    kinds: dict[type, Callable[..., str]] = {Labels: _draw_labels, Boxes: _draw_boxes, Poses: _draw_poses}
    for kind, draw in kinds.items():
        for layer in layers:
            if isinstance(layer.prediction, kind):
                note = draw(canvas, layer.prediction, layer.metadata, least_score, plates)
                if note:  # so that an empty picture is not taken for one that nobody drew on
                    plate = text_plate(note, size=sizes_for(canvas).text, ground=_NOTE)
                    places = [(0, top) for top in range(len(canvas) - len(plate), 0, -len(plate))]
                    _place_plate(canvas, plate, places, plates)
    captions = [
        _caption(layer.prediction, layer.metadata, like=image)
        for layer in layers
        if isinstance(layer.prediction, Classes)
    ]
    return np.concatenate([canvas, *captions])


def fill(
    canvas: Image,
    where: _Mask,
    colours: Sequence[Colour],
    *,
    opacity: float | npt.NDArray[np.floating] = _OPACITY,
) -> None:
    """Cover an area by a colour, or by diagonal stripes of several.

    Args:
        canvas: ``(H, W, 3)``, changed in place.
        where: ``(H, W)``.
        colours: One or more.
        opacity: 0 to 1, for all or for each pixel of the canvas.
    """
    rows, columns = np.nonzero(where)
    paint = np.asarray(colours, np.float32)[(rows + columns) // _STRIPE % len(colours)]
    cover = np.broadcast_to(np.float32(opacity), where.shape)[rows, columns, None]
    canvas[rows, columns] = np.round(canvas[rows, columns] * (1 - cover) + paint * cover)


def _draw_labels(canvas: Image, found: Labels, metadata: Metadata, *_: object) -> str:
    """Every class but a background in its colour, with thin dark lines between them."""
    labels = found.labels
    for label in np.unique(labels).tolist():
        if not metadata.is_background(label):
            fill(canvas, labels == label, _stripes(label, metadata))
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edges[:-1] |= labels[1:] != labels[:-1]
    canvas[edges] = (canvas[edges] * _EDGE).astype(np.uint8)
    return ''


def _stripes(label: int, metadata: Metadata) -> tuple[Colour, ...]:
    """A class's colour; ignored pixels are black and white, values that are no class red and white."""
    if label == IGNORED:
        return BLACK, WHITE
    return (metadata.colour(label),) if metadata.knows(label) else (_RED, WHITE)


def _legend(metadata: Metadata, maps: Sequence[Labels], *, like: Image) -> Image:
    """The classes present with their shares of each label map, the largest first, as high as the image.

    The width depends on the image's size and the names of all classes alone, so that the frames of a video
    become equally wide.
    """
    (height, width), size = like.shape[:2], sizes_for(like).text
    step = round(1.4 * size)
    present = np.unique([each.labels for each in maps]).tolist()
    rows = {label: [(each.labels == label).mean() for each in maps] for label in present}
    share_width = text_width(' | '.join(['100.0%'] * len(maps)), size=size)
    longest = max(text_width(name, size=size) for name in (*metadata.names, _NO_NAME))
    name_width = max(6 * size, min(longest, round(_WIDEST * width)))
    legend = blank(height, 2 * size + name_width + share_width)
    shown = len(rows) if len(rows) * step <= height else max(0, height // step - 1)
    for index, (label, shares) in enumerate(sorted(rows.items(), key=lambda row: -max(row[1]))[:shown]):
        top = index * step
        swatch = legend[top + step // 6 : top + step // 6 + size, size // 2 : size // 2 + size]
        swatch[:] = 0  # a frame; inside it a background, which is not painted, is white
        swatch[1:-1, 1:-1] = 255
        if not metadata.is_background(label):
            fill(swatch, np.ones(swatch.shape[:2], bool), _stripes(label, metadata), opacity=1.0)
        name = fitting_text(metadata.name(label), size=size, width=name_width)
        text = f'{name} {" | ".join(f"{share:.1%}" for share in shares)}'
        paste(legend, text_plate(text, size=size), left=2 * size, top=top)
    if shown < len(rows):
        more = text_plate(f'and {len(rows) - shown} more', size=size)
        paste(legend, more, left=size // 2, top=shown * step)
    return legend


def _draw_boxes(
    canvas: Image, found: Boxes, metadata: Metadata, least_score: float, plates: list[_Rectangle]
) -> str:
    """Masks, boxes, and a label for each: the surest on top, and first to choose a place for its label."""
    sizes, (height, width) = sizes_for(canvas), canvas.shape[:2]
    shown = found.with_score(least_score)
    corners = np.nan_to_num(shown.boxes).clip(-sizes.line, [width, height] * 2).round().astype(int).tolist()
    colours = [metadata.colour(label) for label in shown.labels.tolist()]
    for mask, colour in zip([] if shown.masks is None else shown.masks[::-1], colours[::-1], strict=False):
        fill(canvas, mask, [colour])
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outline, -1, colour, 1)
    for (left, top, right, bottom), colour in zip(corners[::-1], colours[::-1], strict=True):
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, sizes.line)
    for box, label, score, colour in zip(corners, shown.labels.tolist(), shown.scores, colours, strict=True):
        text = metadata.name(label) + ('' if np.isnan(score) else f' {score:.2f}')
        plate = text_plate(text, size=sizes.text, colour=readable_on(colour), ground=colour)
        _place_plate(canvas, plate, _places_at(box, plate), plates)
    return _note_if_none('objects', len(shown.labels), len(found.labels), least_score)


def _places_at(box: Sequence[int], plate: Image) -> list[tuple[int, int]]:
    """Where a box's label may go, the best places first: above it, below, inside, beside."""
    (high, wide), (left, top, right, bottom) = plate.shape[:2], box
    outside = [(x, y) for y in (top - high, bottom) for x in (left, right - wide)]
    inside = [(x, y) for x in (left, right - wide) for y in range(top, bottom - high, high)]
    return [*outside, *inside, (right, top), (left - wide, top)]


def _place_plate(
    canvas: Image, plate: Image, places: Iterable[tuple[int, int]], plates: list[_Rectangle]
) -> None:
    """Put a label at the first place that no other label has; without one it is left out."""
    high, wide = plate.shape[:2]
    for x, y in places:
        left, top = max(0, min(x, canvas.shape[1] - wide)), max(0, min(y, canvas.shape[0] - high))
        right, bottom = left + wide, top + high
        if not any(a < right and left < c and b < bottom and top < d for a, b, c, d in plates):
            plates.append((left, top, right, bottom))
            paste(canvas, plate, left=left, top=top)
            return


def _note_if_none(what: str, shown: int, found: int, least_score: float) -> str:
    return '' if shown else f'no {what}' + (f' with a score of {least_score:g}' if found else '')


def _draw_poses(
    canvas: Image, poses: Poses, metadata: Metadata, least_score: float, plates: list[_Rectangle]
) -> str:
    """Limbs and joints of keypoints that have ``least_score``."""
    sizes, people = sizes_for(canvas), 0
    for points, scores in zip(poses.keypoints, poses.scores, strict=True):
        seen = (scores >= least_score) & (scores > 0) & np.isfinite(points).all(axis=1)
        people += bool(seen.any())
        places = np.clip(np.nan_to_num(points), -_FAR, _FAR).round().astype(int).tolist()
        radii = _radii(points, seen, largest=sizes.joint)
        for (start, end), colour in zip(metadata.links, metadata.link_colours, strict=True):
            if seen[start] and seen[end]:
                width = max(1, min(sizes.line, radii[start], radii[end]))
                ends = places[start], places[end]
                if width > 1:
                    cv2.line(canvas, *ends, BLACK, width + 2, cv2.LINE_AA)  # stands out on any ground
                cv2.line(canvas, *ends, colour, width, cv2.LINE_AA)
        for index in np.flatnonzero(seen).tolist():
            if radii[index] > 1:
                cv2.circle(canvas, places[index], radii[index] + 1, BLACK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, places[index], radii[index], metadata.colour(index), cv2.FILLED, cv2.LINE_AA)
    return _note_if_none('people', people, len(poses.scores), least_score)


def _radii(points: Numbers, seen: _Mask, *, largest: int) -> list[int]:
    """Of each keypoint's dot in pixels, at least 1: smaller where other keypoints are near."""
    shown = np.where(seen[:, None], points, np.nan)
    distance = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    np.fill_diagonal(distance, np.nan)
    nearest = np.nan_to_num(distance, nan=np.inf).min(axis=1, initial=np.inf)
    return np.clip(_SPACING * nearest, 1, largest).round().astype(int).tolist()


def _caption(found: Classes, metadata: Metadata, *, like: Image) -> Image:
    """Up to five lines as wide as the image: class, score, and the score as a bar behind them."""
    size, width = sizes_for(like).text, like.shape[1]
    step, share_width = round(1.5 * size), text_width('100.0%', size=size)
    caption = blank(step * len(found.labels) + step // 3, width)
    for index, (label, score) in enumerate(zip(found.labels.tolist(), found.scores, strict=True)):
        row = caption[step // 6 + index * step :][: step - 2]
        share = '' if np.isnan(score) else f'{score:.1%}'
        room = width - (share_width + size if share else 0)
        name = fitting_text(metadata.name(label), size=size, width=room)
        paste(row, text_plate(name, size=size), left=0, top=0)
        paste(row, text_plate(share, size=size), left=max(0, width - share_width), top=0)
        bar = row[:, : round(width * float(np.clip(np.nan_to_num(score), 0, 1)))]
        np.minimum(bar, np.array(_BAR, np.uint8), out=bar)  # the text stays black
    return caption
