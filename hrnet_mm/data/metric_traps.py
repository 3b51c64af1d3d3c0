"""What COCO's own metric makes of an annotation file: it stops at some, and misjudges others in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .findings import Finding

#: Keys of each annotation without which pycocotools raises a KeyError after the first epoch.
_KEYS = ('area', 'iscrowd')
#: Boxes are taken for corners where so many of them leave their image.
_RATHER_CORNERS = 0.5
_LEAST_BOXES = 4

Record = Mapping[str, Any]


def trap_of(annotation: Record, *, keypoints: bool) -> Finding | None:
    """What is wrong with an annotation that predictions are compared with, whoever predicts it."""
    keys = (*_KEYS, 'num_keypoints') if keypoints else _KEYS
    missing = [key for key in keys if key not in annotation]
    if missing:
        return Finding('incomplete for the metric', f'has no {", ".join(missing)}, which the metric reads')
    identity, area = annotation['id'], annotation['area']
    if not isinstance(identity, int):
        return Finding(
            'incomplete for the metric', f'its id is {identity!r}; the metric needs a whole number'
        )
    if identity == 0:
        return Finding('annotation id 0', 'ids have to count from 1')
    seen = keypoints and any((annotation.get('keypoints') or ())[2::3])
    if seen and isinstance(area, (int, float)) and area <= 0:
        return Finding('area 0', f'area is {area:g}; expected that of the person or animal in pixels')
    return None


def corner_boxes(
    annotations: Sequence[Record], sizes: Mapping[Any, tuple[float, float] | None]
) -> str | None:
    """Whether boxes look like x1, y1, x2, y2: read as x, y, width, height most of them leave their image."""
    boxes = []
    for annotation in annotations:
        box, image = annotation.get('bbox'), annotation.get('image_id')
        size = None if isinstance(image, (list, dict)) else sizes.get(image)
        if size is not None and _is_box(box):
            boxes.append((*annotation['bbox'], *size))
    leaving = [box for box in boxes if box[0] + box[2] > box[4] + 1 or box[1] + box[3] > box[5] + 1]
    as_corners = all(x2 > x1 and y2 > y1 and x2 <= w + 1 and y2 <= h + 1 for x1, y1, x2, y2, w, h in boxes)
    if len(boxes) < _LEAST_BOXES or len(leaving) < _RATHER_CORNERS * len(boxes) or not as_corners:
        return None
    return (
        f'{len(leaving)} of {len(boxes)} boxes leave their image if they are [x, y, width, height], none if '
        'they are [x1, y1, x2, y2]'
    )


def are_fractions(annotations: Sequence[Record]) -> bool:
    """Whether keypoints look like parts of the image's sides instead of pixels."""
    lists = [points for a in annotations if isinstance(points := a.get('keypoints'), list) and any(points)]
    values = (value for points in lists for place in (0, 1) for value in points[place::3])
    return bool(lists) and all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(isinstance(value, (int, float)) for value in box)
