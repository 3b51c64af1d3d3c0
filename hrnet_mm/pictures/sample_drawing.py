"""Drawing an annotation on its image: label maps, masks, heatmaps, boxes, keypoints and class labels.

What is drawn follows from what a data sample holds, not from the package that it comes from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.structures import BaseDataElement

from .pairs import Image
from .sample_look import Colour, Look
from .sample_text import counted, draw_plate

#: Smaller images are enlarged by a whole number until their short edge has this many pixels.
MIN_EDGE = 160
#: How much of what lies under a filled area its colour covers.
OPACITY = 0.5

_HEAT: Colour = (255, 0, 200)  # mmpose's skeletons are blue, green and orange
_GREY: Colour = (150, 150, 150)
_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)
_RED: Colour = (255, 0, 0)
_STRIPE = 4  # pixels
_FAR = 30_000  # pixels

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Swatch:
    """A line of a legend: a text behind a field of one colour, or of two in stripes."""

    text: str
    colours: tuple[Colour, ...]


@dataclass(kw_only=True)
class Canvas:
    """A picture in the making.

    Attributes:
        pixels: (scale * H, scale * W, 3), RGB.
        scale: How many pixels of it one pixel of the image covers, each way.
        notes: What the picture shows, in words.
        legend: The meaning of its colours.
    """

    pixels: Image
    scale: int
    notes: list[str] = field(default_factory=list)
    legend: list[Swatch] = field(default_factory=list)

    @property
    def line(self) -> int:
        """Width of a line in pixels that suits the picture."""
        return max(1, round(min(self.pixels.shape[:2]) / 200))

    def enlarge(self, grid: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring (H, W) values to the picture's size, cut or filled up with zeros at right and below."""
        big = grid.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        fitted = np.zeros(self.pixels.shape[:2], big.dtype)
        height, width = (min(a, b) for a, b in zip(big.shape, fitted.shape, strict=True))
        fitted[:height, :width] = big[:height, :width]
        return fitted

    def fill(
        self, where: _Mask, colours: Sequence[Colour], *, opacity: float | npt.NDArray[Any] = OPACITY
    ) -> None:
        """Cover an area by a colour, or by diagonal stripes of several.

        Args:
            where: (scale * H, scale * W).
            colours: One or more.
            opacity: 0 to 1, for all or for each pixel of the picture.
        """
        rows, columns = np.nonzero(where)
        paint = np.asarray(colours, np.float32)[(rows + columns) // _STRIPE % len(colours)]
        cover = np.broadcast_to(opacity, where.shape)[rows, columns, None]
        self.pixels[rows, columns] = np.round(self.pixels[rows, columns] * (1 - cover) + paint * cover)

    def place(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Middles of the image's pixels, (..., 2) as x, y, in pixels of the picture."""
        return points * self.scale + (self.scale - 1) / 2


def draw_annotation(image: Image, annotation: BaseDataElement, look: Look) -> Canvas:
    """Draw all that an annotation holds.

    Args:
        image: (H, W, 3), RGB.
        annotation: A data sample in the image's coordinates.
        look: Names and colours.

    Returns:
        The picture, with notes and a legend.
    """
    scale = max(1, -(-MIN_EDGE // min(image.shape[:2])))
    canvas = Canvas(pixels=image.repeat(scale, axis=0).repeat(scale, axis=1), scale=scale)
    for holds, draw in _LAYERS:
        if holds(annotation):
            draw(canvas, annotation, look)
    if not canvas.notes:
        canvas.notes.append('no annotation')
    return canvas


def _draw_label_map(canvas: Canvas, annotation: Any, look: Look) -> None:
    """Classes in their colours; ignored pixels black and white, values that are no class red and white."""
    labels = np.asarray(annotation.gt_sem_seg.data)[0]
    for value, count in zip(*np.unique(labels, return_counts=True), strict=True):
        swatch = _swatch(int(value), look)
        canvas.fill(canvas.enlarge(labels == value), swatch.colours)
        canvas.legend.append(Swatch(f'{swatch.text} {count / labels.size:.1%}', swatch.colours))
    known = sum(look.knows(int(value)) for value in np.unique(labels) if value != look.ignore_index)
    canvas.notes.append(f'{known} of {len(look.classes)} classes')


def _swatch(label: int, look: Look) -> Swatch:
    if label == look.ignore_index:
        return Swatch('ignored', (_BLACK, _WHITE))
    return Swatch(look.name(label), (look.colour(label),) if look.knows(label) else (_RED, _WHITE))


def _draw_masks(canvas: Canvas, annotation: Any, look: Look) -> None:
    instances = annotation.gt_instances
    masks = instances.masks
    arrays = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks)
    for mask, label in zip(arrays, _labels(instances), strict=True):
        where = canvas.enlarge(mask.astype(bool))
        canvas.fill(where, (look.colour(label),))
        outlines, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas.pixels, outlines, -1, look.colour(label), 1)
    canvas.notes.append(counted(len(arrays), 'mask'))


def _draw_boxes(canvas: Canvas, annotation: Any, look: Look) -> None:
    for box in _boxes(annotation.get('ignored_instances')):
        _draw_box(canvas, box, _GREY, 'ignored')
    instances = annotation.gt_instances
    boxes, labels = _boxes(instances), _labels(instances)
    for box, label in zip(boxes, labels, strict=True):
        _draw_box(canvas, box, look.colour(label), look.name(label))
    counts = Counter(look.name(label) for label in labels)
    found = ', '.join(f'{count} {name}' for name, count in counts.most_common())
    canvas.notes.append(counted(len(boxes), 'box', 'boxes') + (f': {found}' if found else ''))
    height, width = (edge / canvas.scale for edge in canvas.pixels.shape[:2])
    inside = np.clip(boxes, 0, [width, height, width, height])
    empty = int(((inside[:, 2:] - inside[:, :2]).min(axis=1, initial=np.inf) <= 0).sum())
    if empty:
        canvas.notes.append(f'{empty} EMPTY OR OUTSIDE')


def _draw_box(canvas: Canvas, box: npt.NDArray[Any], colour: Colour, text: str) -> None:
    left, top, right, bottom = _whole(box * canvas.scale)
    cv2.rectangle(canvas.pixels, (left, top), (right, bottom), colour, canvas.line)
    draw_plate(canvas.pixels, text, corner=(left, top), colour=colour)


def _draw_heatmaps(canvas: Canvas, annotation: Any, look: Look) -> None:
    """The largest of all keypoints' targets, as a glow."""
    maps = annotation.gt_fields.heatmaps
    finest = np.asarray(maps[-1] if isinstance(maps, (list, tuple)) else maps)  # (K, h, w)
    height, width = canvas.pixels.shape[:2]
    glow = cv2.resize(finest.max(axis=0).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    canvas.fill(np.ones((height, width), bool), (_HEAT,), opacity=0.8 * np.clip(glow, 0, 1))
    canvas.notes.append(counted(sum(bool(one.any()) for one in finest), 'heatmap') + ' with a target')


def _draw_keypoints(canvas: Canvas, annotation: Any, look: Look) -> None:
    """Annotated keypoints as dots, and the skeleton's links between them."""
    instances = annotation.gt_instances
    points = _keypoints(annotation)[..., :2]  # (N, K, 2)
    flags = np.asarray(instances.keypoints_visible)
    flags = (flags[..., 0] if flags.ndim == 3 else flags) > 0  # (N, K)
    places = canvas.place(points)
    radius = max(2, round(min(canvas.pixels.shape[:2]) / 80))
    for person, shown in zip(places, flags, strict=True):
        for (start, end), colour in look.links:
            if shown[start] and shown[end]:
                cv2.line(canvas.pixels, _whole(person[start]), _whole(person[end]), colour, canvas.line)
        for number in np.flatnonzero(shown):
            cv2.circle(canvas.pixels, _whole(person[number]), radius, look.keypoint_colour(int(number)), -1)
    height, width = canvas.pixels.shape[:2]
    inside = flags & ((places >= 0) & (places < (width, height))).all(axis=-1)
    people = counted(len(places), 'person', 'people')
    canvas.notes.append(f'{people}, {inside.sum()} of {flags.sum()} keypoints in the picture')


def _note_label(canvas: Canvas, annotation: Any, look: Look) -> None:
    labels = np.atleast_1d(np.asarray(annotation.gt_label)).tolist()
    canvas.notes.append('label: ' + (', '.join(look.name(int(label)) for label in labels) or 'none'))


def _whole(numbers: npt.NDArray[Any]) -> list[int]:
    """Whole pixels, as OpenCV wants them; those far outside come nearer, since it counts in 32 bits.

    Raises:
        ValueError: if there is no place to draw at.
    """
    if not np.isfinite(numbers).all():
        raise ValueError(f'a box or keypoint at {numbers.tolist()}; expected finite numbers')
    return np.round(np.clip(numbers, -_FAR, _FAR)).astype(int).tolist()


def _keypoints(annotation: Any) -> npt.NDArray[Any]:
    """(N, K, 2 or more), where the pipeline moved them."""
    instances = annotation.gt_instances
    if 'transformed_keypoints' in instances:  # by TopdownAffine
        return np.asarray(instances.transformed_keypoints)
    points = np.asarray(instances.keypoints)
    if 'input_center' in annotation:  # BottomupResize moves the image alone
        size, scale, centre = (
            np.asarray(annotation.get(f'input_{name}')) for name in ('size', 'scale', 'center')
        )
        points = (points[..., :2] - centre + scale / 2) / scale * size
    return points


def _boxes(instances: Any) -> npt.NDArray[Any]:
    """(N, 4) as left, top, right, bottom, in pixels of the image."""
    boxes = None if instances is None else instances.get('bboxes')
    if boxes is None:
        return np.zeros((0, 4))
    return np.asarray(getattr(boxes, 'tensor', boxes), np.float64).reshape(-1, 4)


def _labels(instances: Any) -> list[int]:
    return [int(label) for label in np.asarray(instances.labels)]


def _holds(part: str, name: str) -> Callable[[Any], bool]:
    """Asks an annotation whether a part of it is there and has a field; empty parts count."""

    def ask(annotation: Any) -> bool:
        found = annotation.get(part)
        return found is not None and name in found

    return ask


#: Whether an annotation holds something, and what draws it, from below to the top. Boxes of people
#: with keypoints are left out: mmpose keeps them in the coordinates of the file.
_LAYERS: tuple[tuple[Callable[[Any], bool], Callable[[Canvas, Any, Look], None]], ...] = (
    (_holds('gt_sem_seg', 'data'), _draw_label_map),
    (_holds('gt_instances', 'masks'), _draw_masks),
    (_holds('gt_fields', 'heatmaps'), _draw_heatmaps),
    (_holds('gt_instances', 'labels'), _draw_boxes),
    (_holds('gt_instances', 'keypoints'), _draw_keypoints),
    (lambda annotation: 'gt_label' in annotation, _note_label),
)
