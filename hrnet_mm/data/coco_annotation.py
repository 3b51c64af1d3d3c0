"""Checks of one annotation of a COCO file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from .findings import Finding

#: Coordinates from here on are no pixels; float32 has no whole numbers beyond.
_HUGE = 2**24
#: Coordinates are rounded in many ways: so far outside is still at the border.
_MARGIN = 1.0

Record = Mapping[str, Any]
Size = tuple[float, float] | None
#: Kinds of findings with their reasons.
Said = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class CocoRules:
    """What a data set expects of its annotation file.

    Attributes:
        file: The annotation file, for messages.
        classes: Names of the categories that are learned, in the order of their labels. None: all are.
        keypoints: How many keypoints a person has; None: they are not learned.
        masks: Whether segmentations are learned.
        learns: Whether there has to be something to learn; in a test there need not be annotations.
        required: Keys of each annotation without which loading fails.
    """

    file: str
    classes: Sequence[str] | None = None
    keypoints: int | None = None
    masks: bool = False
    learns: bool = True
    required: frozenset[str] = frozenset({'id', 'image_id', 'category_id', 'bbox', 'area'})


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a file's other parts say, and what was met so far.

    Attributes:
        sizes: Image id -> width and height in pixels; None where its record is broken.
        categories: Ids of the categories that the file lists.
        learned: Ids of those that are learned.
        seen: Ids of the annotations so far.
    """

    sizes: Mapping[Any, tuple[float, float] | None]
    categories: Set[Any]
    learned: Set[Any]
    seen: set[Any] = field(default_factory=set)


def check_annotation(annotation: Record, index: int, known: Known, rules: CocoRules) -> Iterator[Finding]:
    """Everything that is wrong with an annotation.

    Args:
        annotation: The record.
        index: Its place in the file, to name it where it has no id.
        known: The file's images and categories; the annotation's id is added.
        rules: What is expected.
    """
    for kind, reason in _faults(annotation, known, rules):
        identity = annotation.get('id', f'number {index}')
        yield found(kind, rules, f'annotation {identity}', reason)


def _faults(annotation: Record, known: Known, rules: CocoRules) -> Said:
    ids = [annotation.get(key) for key in _IDS]
    if not annotation.keys() >= rules.required:
        missing = sorted(rules.required - annotation.keys())
        yield 'incomplete annotation', f'has no {", ".join(missing)}'
        return
    if any(isinstance(identity, (list, dict)) for identity in ids):
        yield 'incomplete annotation', 'an id or category is no number'
        return
    identity, image, category = ids
    if identity in known.seen:
        yield 'id given twice', 'another annotation has this id'
    known.seen.add(identity)
    if image not in known.sizes:
        yield 'unknown image', f'of image {image}, which is not listed'
        return
    if rules.classes is not None and category not in known.learned:
        where = 'the config' if category in known.categories else 'the list of categories'
        yield 'category not in the config', f'of category {category}, which is not in {where}'
        return
    if category not in known.categories:
        yield 'category not listed', f'of category {category}, which is not in the list of categories'
    for check in _CHECKS if rules.keypoints is not None else _CHECKS[:2]:
        yield from check(annotation, known.sizes[image], rules)


def _check_box(annotation: Record, size: Size, rules: CocoRules) -> Said:
    box = annotation.get('bbox')
    if box is None and rules.keypoints is not None:
        yield 'box of no size', 'has no bbox'
        return
    if not isinstance(box, list) or len(box) != 4:
        yield 'incomplete annotation', f'bbox is {shown(box)}; expected [x, y, width, height]'
        return
    if not _finite(box) or not _finite([annotation.get('area', 0)]):
        yield 'no finite number', f'bbox is {shown(box)}, area {shown(annotation.get("area"))}'
        return
    x, y, width, height = box
    area = annotation.get('area', 1)
    least = 1 if rules.keypoints is None else 0
    if width < least or height < least or min(width, height) <= 0 or (area <= 0 and least):
        yield 'box of no size', f'{width:g} x {height:g} pixels, area {area:g}'
    elif size is not None and not (x < size[0] and y < size[1] and x + width > 0 and y + height > 0):
        yield 'box outside the image', f'{shown(box)} in an image of {size[0]:g}x{size[1]:g}'


def _check_segmentation(annotation: Record, size: Size, rules: CocoRules) -> Said:
    if rules.masks and not annotation.get('segmentation'):
        yield 'no segmentation', 'its segmentation is empty, and the config learns masks'


def _check_keypoints(annotation: Record, size: Size, rules: CocoRules) -> Said:
    points = annotation.get('keypoints')
    if points is None:
        # metrics want them of every annotation
        yield 'no keypoints' if rules.learns else 'incomplete annotation', 'has no keypoints'
        return
    if isinstance(points, list) and not any(points):
        yield 'no keypoints', 'none of its keypoints is labelled'
        return
    if not isinstance(points, list) or len(points) != 3 * (rules.keypoints or 0):
        count = len(points) if isinstance(points, list) else shown(points)
        yield (
            'wrong number of keypoints',
            f'{count} numbers; expected {rules.keypoints} x (x, y, visibility)',
        )
    elif not _finite(points):
        wrong = next(i for i, value in enumerate(points) if not _finite([value]))
        yield 'no finite number', f'keypoint {wrong // 3} is {shown(points[wrong - wrong % 3 :][:3])}'
    elif size is not None and (outside := _outside(points, *size)):
        first, (width, height) = points[3 * outside[0] :][:2], size
        yield (
            'keypoint outside the image',
            f'keypoint {outside[0]} at {shown(first)} in an image of {width:g}x{height:g}',
        )


def _outside(points: Sequence[float], width: float, height: float) -> list[int]:
    """Numbers of the labelled keypoints that are outside the image."""
    x, y, seen = points[::3], points[1::3], points[2::3]
    if min(*x, *y) >= -_MARGIN and max(x) <= width + _MARGIN and max(y) <= height + _MARGIN:
        return []  # nearly always, and sooner known than point by point
    return [
        k
        for k in range(len(x))
        if seen[k] > 0 and not (-_MARGIN <= x[k] <= width + _MARGIN and -_MARGIN <= y[k] <= height + _MARGIN)
    ]


def found(kind: str, rules: CocoRules, item: str, reason: str) -> Finding:
    """A finding in the annotation file."""
    return Finding(kind=kind, file=rules.file, item=item, reason=reason)


def _finite(values: Sequence[Any]) -> bool:
    try:
        # a NaN hides from max and min, not from the sum
        return (
            min(values) > -_HUGE
            and max(values) < _HUGE
            and -_HUGE * len(values) < sum(values) < _HUGE * len(values)
        )
    except TypeError:
        return False


def is_size(value: Any) -> bool:
    """Whether a value can be the width or height of an image, in pixels."""
    return isinstance(value, (int, float)) and 1 <= value < _HUGE


def shown(value: Any) -> str:
    """A value in words, cut short."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return 'a number of thousands of digits'
    return text if len(text) <= 60 else f'{text[:57]}...'


_IDS = ('id', 'image_id', 'category_id')
#: In the order of cost; the last is for pose alone.
_CHECKS: tuple[Callable[[Record, Size, CocoRules], Said], ...] = (
    _check_box,
    _check_segmentation,
    _check_keypoints,
)
#: With one of these an annotation is not learned.
UNUSABLE = frozenset(
    {
        'incomplete annotation',
        'no finite number',
        'wrong number of keypoints',
        'no segmentation',
        'category not in the config',
        'unknown image',
        'box of no size',
        'box outside the image',
        'no keypoints',
    }
)
