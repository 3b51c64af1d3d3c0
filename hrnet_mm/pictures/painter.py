"""One painter for all pictures: label maps, masks, boxes, skeletons and classes on an image and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import (
    BLACK,
    WHITE,
    Image,
    Sizes,
    blank,
    captioned,
    enlarge,
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
_LEAST_TEXT = 9  # pixels: a legend of many classes is written smaller, down to this
_WIDEST = 0.4  # of the image's width, for a legend
_RED: Colour = (255, 0, 0)
_BAR: Colour = (120, 170, 230)
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
    image, layers = _enlarged(image, layers) if enlarge_small else (image.copy(), layers)
    if layout == 'overlay':
        return _overlay(image, layers, least_score=least_score)
    sizes = sizes_for(image)
    panels = [('image', image)]
    panels += [(layer.title, _overlay(image, [layer], least_score=least_score)) for layer in layers]
    cells = [captioned(panel, [title], size=sizes.text) for title, panel in panels]
    return page_of(cells, gap=sizes.gap)


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
    cells: list[Image] = []
    maps: dict[str, Layer] = {}
    for title, layers in (('truth', truth), ('prediction', prediction)):
        large, layers = _enlarged(image, layers)
        canvas = _with_captions(_drawn(large.copy(), layers, least_score=least_score), layers)
        cells.append(captioned(canvas, [title if layers else f'no {title}'], size=sizes_for(large).text))
        for layer in layers:
            if isinstance(layer.prediction, Labels):
                maps[title] = layer
    if maps:
        legend = _legend(list(maps.values()), like=large)
        cells.append(captioned(legend, [' | '.join(maps)], size=sizes_for(large).text))
    return page_of(cells, gap=sizes_for(large).gap, columns=len(cells))


def _enlarged(image: Image, layers: Sequence[Layer]) -> tuple[Image, Sequence[Layer]]:
    factor = enlargement(image)
    large = enlarge(image, factor)
    old, new = image.shape[:2], large.shape[:2]
    return large, [replace(layer, prediction=layer.prediction.resized(old, new)) for layer in layers]


def _overlay(image: Image, layers: Sequence[Layer], *, least_score: float) -> Image:
    canvas = _with_captions(_drawn(image.copy(), layers, least_score=least_score), layers)
    for layer in layers:
        if isinstance(layer.prediction, Labels):
            canvas = page_of([canvas, _legend([layer], like=image)], gap=0, columns=2)
    return canvas


def _drawn(canvas: Image, layers: Sequence[Layer], *, least_score: float) -> Image:
    """What belongs on the image itself: areas below, thin lines on top, plates of text above all."""
    plates: list[_Rectangle] = []
    for layer in layers:
        if isinstance(layer.prediction, Labels):
            _draw_labels(canvas, layer.prediction, layer.metadata)
    for layer in layers:
        if isinstance(layer.prediction, Boxes):
            boxes = layer.prediction.with_score(least_score)
            _draw_boxes(canvas, boxes, layer.metadata, plates)
            _say_if_none(
                canvas, 'objects', len(boxes.labels), len(layer.prediction.labels), least_score, plates
            )
    for layer in layers:
        if isinstance(layer.prediction, Poses):
            shown = _draw_poses(canvas, layer.prediction, layer.metadata, least_score=least_score)
            _say_if_none(canvas, 'people', shown, len(layer.prediction.scores), least_score, plates)
    return canvas


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


# --- Label maps ---------------------------------------------------------------------------------------


def _draw_labels(canvas: Image, found: Labels, metadata: Metadata) -> None:
    """Every class but a background in its colour, with thin dark lines between them."""
    labels = found.labels
    for label in np.unique(labels).tolist():
        if not metadata.is_background(label):
            fill(canvas, labels == label, _stripes(label, metadata))
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edges[:-1] |= labels[1:] != labels[:-1]
    canvas[edges] = (canvas[edges] * _EDGE).astype(np.uint8)


def _stripes(label: int, metadata: Metadata) -> tuple[Colour, ...]:
    """A class's colour; ignored pixels are black and white, values that are no class red and white."""
    if label == IGNORED:
        return BLACK, WHITE
    return (metadata.colour(label),) if metadata.knows(label) else (_RED, WHITE)


def _legend(layers: Sequence[Layer], *, like: Image) -> Image:
    """The classes present with their shares of each label map, the largest first, as high as the image.

    The width depends on the image's size and the names of all classes alone, so that the frames of a video
    become equally wide.
    """
    height, width = like.shape[:2]
    usual = sizes_for(like).text
    metadata = layers[0].metadata
    rows = _shares([layer.prediction for layer in layers if isinstance(layer.prediction, Labels)])
    size = max(_LEAST_TEXT, min(usual, int(height / (1.4 * max(len(rows), 1)))))
    share_width = text_width(' | '.join(['100.0%'] * len(layers)), size=usual)
    longest = max((text_width(name, size=usual) for name in metadata.names), default=0)
    legend = blank(
        height, max(min(2 * usual + longest + share_width, round(_WIDEST * width)), share_width + 5 * usual)
    )
    step = round(1.4 * size)
    fitting = len(rows) if len(rows) * step <= height else max(1, height // step) - 1
    for index, (label, shares) in enumerate(rows[:fitting]):
        top = index * step
        swatch = legend[top + step // 6 : top + step // 6 + size, size // 2 : size // 2 + size]
        _draw_swatch(swatch, label, metadata)
        text = ' | '.join(f'{share:.1%}' for share in shares)
        room = legend.shape[1] - 2 * size - text_width(f' {text}', size=size)
        name = fitting_text(metadata.name(label), size=size, width=room)
        paste(legend, text_plate(f'{name} {text}', size=size), left=2 * size, top=top)
    if fitting < len(rows):
        more = text_plate(f'and {len(rows) - fitting} more', size=size)
        paste(legend, more, left=size // 2, top=fitting * step)
    return legend


def _draw_swatch(swatch: Image, label: int, metadata: Metadata) -> None:
    """A field in the class's colour; a background, which is not painted, has a frame alone."""
    if metadata.is_background(label):
        cv2.rectangle(swatch, (0, 0), (swatch.shape[1] - 1, swatch.shape[0] - 1), BLACK, 1)
    else:
        fill(swatch, np.ones(swatch.shape[:2], bool), _stripes(label, metadata), opacity=1.0)


def _shares(maps: Sequence[Labels]) -> list[tuple[int, list[float]]]:
    """Labels present in any map with their shares of each, the largest first."""
    counts = [dict(zip(*np.unique(each.labels, return_counts=True), strict=True)) for each in maps]
    present = sorted(set().union(*counts))
    rows = [
        (
            int(label),
            [float(count.get(label, 0) / each.labels.size) for count, each in zip(counts, maps, strict=True)],
        )
        for label in present
    ]
    return sorted(rows, key=lambda row: -max(row[1]))


# --- Boxes --------------------------------------------------------------------------------------------


def _draw_boxes(canvas: Image, found: Boxes, metadata: Metadata, plates: list[_Rectangle]) -> None:
    """Masks, boxes, and a label for each: the surest on top, and first to choose a place for its label."""
    sizes = sizes_for(canvas)
    height, width = canvas.shape[:2]
    corners = np.nan_to_num(found.boxes).clip(-sizes.line, [width, height] * 2).round().astype(int)
    order = range(len(found.labels))
    colours = [metadata.colour(label) for label in found.labels.tolist()]
    for index in reversed(order if found.masks is not None else ()):
        assert found.masks is not None  # asked before
        fill(canvas, found.masks[index], [colours[index]])
        outline, _ = cv2.findContours(
            found.masks[index].astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, outline, -1, colours[index], 1)
    for index in reversed(order):
        left, top, right, bottom = corners[index].tolist()
        cv2.rectangle(canvas, (left, top), (right, bottom), colours[index], sizes.line)
    for index in order:
        score = found.scores[index]
        text = metadata.name(int(found.labels[index])) + ('' if np.isnan(score) else f' {score:.2f}')
        ink = readable_on(colours[index])
        plate = text_plate(text, size=sizes.text, colour=ink, ground=colours[index])
        _place_plate(canvas, plate, corners[index].tolist(), plates)


def _place_plate(canvas: Image, plate: Image, box: Sequence[int], plates: list[_Rectangle]) -> None:
    """Put a label at the first place at its box that no other label has; without one it is left out."""
    high, wide = plate.shape[:2]
    left, top, right, bottom = box
    outside = [(x, y) for y in (top - high, bottom) for x in (left, right - wide)]
    inside = [(x, y) for x in (left, right - wide) for y in range(top, bottom - high, high)]
    for x, y in (*outside, *inside, (right, top), (left - wide, top)):
        x, y = max(0, min(x, canvas.shape[1] - wide)), max(0, min(y, canvas.shape[0] - high))
        place = (x, y, x + wide, y + high)
        if not any(_overlap(place, other) for other in plates):
            plates.append(place)
            paste(canvas, plate, left=x, top=y)
            return


def _overlap(one: _Rectangle, other: _Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _say_if_none(
    canvas: Image, what: str, shown: int, found: int, least_score: float, plates: list[_Rectangle]
) -> None:
    """In the lower left corner, so that an empty picture is not taken for one that nobody drew on."""
    if shown:
        return
    text = f'no {what}' + (f' with a score of {least_score:g}' if found else '')
    plate = text_plate(text, size=sizes_for(canvas).text, ground=(255, 255, 160))
    corner = (0, canvas.shape[0] - len(plate), plate.shape[1], canvas.shape[0])
    _place_plate(canvas, plate, corner, plates)


# --- People -------------------------------------------------------------------------------------------


def _draw_poses(canvas: Image, poses: Poses, metadata: Metadata, *, least_score: float) -> int:
    """Limbs and joints of keypoints that have ``least_score``; gives the number of people that have any."""
    sizes = sizes_for(canvas)
    drawn = 0
    for points, scores in zip(poses.keypoints, poses.scores, strict=True):
        seen = (scores >= least_score) & (scores > 0) & np.isfinite(points).all(axis=1)
        places = np.clip(np.nan_to_num(points), -_FAR, _FAR).round().astype(int).tolist()
        radii = _radii(points, seen, sizes)
        for (start, end), colour in zip(metadata.links, metadata.link_colours, strict=True):
            if seen[start] and seen[end]:
                width = max(1, min(sizes.line, min(radii[start], radii[end])))
                ends = places[start], places[end]
                if width > 1:
                    cv2.line(canvas, *ends, BLACK, width + 2, cv2.LINE_AA)  # stands out on any ground
                cv2.line(canvas, *ends, colour, width, cv2.LINE_AA)
        for index in np.flatnonzero(seen).tolist():
            if radii[index] > 1:
                cv2.circle(canvas, places[index], radii[index] + 1, BLACK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, places[index], radii[index], metadata.colour(index), cv2.FILLED, cv2.LINE_AA)
        drawn += bool(seen.any())
    return drawn


def _radii(points: Numbers, seen: _Mask, sizes: Sizes) -> list[int]:
    """Of each keypoint's dot in pixels, at least 1: smaller where other keypoints are near."""
    shown = np.where(seen[:, None], points, np.nan)
    distance = np.linalg.norm(shown[:, None] - shown[None], axis=-1)
    np.fill_diagonal(distance, np.nan)
    nearest = np.nan_to_num(distance, nan=np.inf).min(axis=1, initial=np.inf)
    return np.clip(_SPACING * nearest, 1, sizes.joint).round().astype(int).tolist()


# --- Classes ------------------------------------------------------------------------------------------


def _with_captions(canvas: Image, layers: Sequence[Layer]) -> Image:
    """The image with up to five lines under it: class, score, and the score as a bar behind them."""
    size = sizes_for(canvas).text
    step, width = round(1.5 * size), canvas.shape[1]
    share_width = text_width('100.0%', size=size)
    for found, metadata in ((layer.prediction, layer.metadata) for layer in layers):
        if not isinstance(found, Classes):
            continue
        caption = blank(step * len(found.labels) + step // 3, width)
        for index, (label, score) in enumerate(zip(found.labels.tolist(), found.scores, strict=True)):
            row = caption[step // 6 + index * step :][: step - 2]
            row[:, : round(width * float(np.clip(np.nan_to_num(score), 0, 1)))] = _BAR
            room = width - (0 if np.isnan(score) else share_width + size)
            _write(row, fitting_text(metadata.name(label), size=size, width=room), left=0, size=size)
            if not np.isnan(score):
                _write(row, f'{score:.1%}', left=width - share_width, size=size)
        canvas = np.concatenate([canvas, caption])
    return canvas


def _write(row: Image, text: str, *, left: int, size: int) -> None:
    """Black text over what is there, be it bar or paper."""
    plate = text_plate(text, size=size)[: len(row)]
    there = row[: len(plate), left : left + plate.shape[1]]
    np.multiply(there, plate[:, : there.shape[1]] / 255.0, out=there, casting='unsafe')
