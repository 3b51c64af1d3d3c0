"""COCO annotation files: reading one that may be anything, and what is wrong with it for a data set."""

from __future__ import annotations

import gc
import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..config.errors import one_line
from ..utils import listed
from .findings import KINDS, Finding
from .metric_traps import are_fractions, corner_boxes, trap_of
from .segmentations import HUGE, are_pixels, segmentation_fault

BYTE_ORDER_MARK = (
    'begins with a byte order mark, which the packages take for text; save it as UTF-8 without one '
    '(in an editor: not "UTF-8 with BOM")'
)
_LISTS = ('images', 'annotations', 'categories')
#: Coordinates are rounded in many ways: so far outside is still at the border.
_MARGIN = 1.0

Record = Mapping[str, Any]
#: Width and height in pixels; None where the image's record is broken.
ImageSize = tuple[float, float] | None


class UnreadableAnnotations(ValueError):
    """The file is no COCO annotation file; the message says why."""


@dataclass(frozen=True, kw_only=True)
class CocoRules:
    """What a data set expects of its annotation file."""

    file: str
    classes: Sequence[str] | None = None  # that are learned, in the order of their labels; None: all are
    keypoints: int | None = None  # of a person; None: they are not learned
    masks: bool = False  # whether segmentations are learned
    learns: bool = True  # whether there has to be something to learn: in a test there need not be
    evaluated: bool = False  # whether COCO's own metric compares predictions with it
    alone: bool = True  # whether no other file is learned from, which could have the classes that it lacks
    min_size: float = 0  # pixels: images with a shorter side are left out
    #: Keys of each annotation without which loading fails.
    required: frozenset[str] = frozenset({'id', 'image_id', 'category_id', 'bbox', 'area'})

    def keeps(self, image: Record) -> bool:
        """Whether an image is large enough."""
        return not min(image.get('width', 0), image.get('height', 0)) < self.min_size


@dataclass
class CocoFile:
    """A file's lists of records, and what the checks so far have met in them."""

    images: Sequence[Record]
    annotations: Sequence[Record]
    categories: Sequence[Record]
    listed: frozenset[Any]  # ids of categories
    learned: frozenset[Any]  # ids of those that are learned
    sizes: dict[Any, ImageSize] = field(default_factory=dict)  # image id -> size
    seen: set[Any] = field(default_factory=set)  # ids of annotations
    used: Counter[Any] = field(default_factory=Counter)  # category id -> annotations that can be learned
    with_annotation: set[Any] = field(default_factory=set)  # ids of the images that these are in
    why: dict[str, list[str]] = field(default_factory=dict)  # kind -> reasons not to learn annotations


def read_coco(path: str, *, for_packages: bool = False) -> dict[str, list[Any]]:
    """The lists of a COCO annotation file.

    Args:
        path: The file.
        for_packages: Whether pycocotools has to read it too, which takes no byte order mark.

    Returns:
        At least ``images``, ``annotations`` and ``categories``, each a list of dicts.

    Raises:
        UnreadableAnnotations: if it is no JSON, nested too deeply, or has other contents.
    """
    content = _parse(path)
    if for_packages and has_byte_order_mark(path):
        raise UnreadableAnnotations(BYTE_ORDER_MARK)
    if not isinstance(content, dict):
        raise UnreadableAnnotations(f'holds a {type(content).__name__}; expected an object with {_LISTS}')
    content.setdefault('annotations', [])  # files of images to test on have none
    for name in _LISTS:
        entries = content.get(name)
        if not isinstance(entries, list):
            raise UnreadableAnnotations(f'has no list {name!r}; expected {", ".join(_LISTS)}')
        wrong = next((i for i, entry in enumerate(entries) if not isinstance(entry, dict)), None)
        if wrong is not None:
            raise UnreadableAnnotations(f'{name}[{wrong}] is a {type(entries[wrong]).__name__}, no object')
    if any(isinstance(c.get(key), (list, dict)) for c in content['categories'] for key in ('id', 'name')):
        raise UnreadableAnnotations('has a category whose id or name is a list or an object')
    return content


def has_byte_order_mark(path: str | Path) -> bool:
    """Whether a text begins as some editors begin UTF-8, and Python's JSON reads none."""
    with open(path, 'rb') as file:
        return file.read(len(BOM_UTF8)) == BOM_UTF8


def _parse(path: str) -> Any:
    gc.disable()  # among millions of new lists Python would look for garbage again and again
    try:
        with open(path, encoding='utf-8-sig') as file:
            return json.load(file)
    except RecursionError as error:
        raise UnreadableAnnotations('is nested too deeply to be an annotation file') from error
    except MemoryError as error:
        raise UnreadableAnnotations('does not fit into memory') from error
    except OSError as error:
        raise UnreadableAnnotations(f'cannot be read ({one_line(error)})') from error
    except ValueError as error:  # no JSON, no UTF-8, a number of thousands of digits
        raise UnreadableAnnotations(f'is no JSON that can be read ({one_line(error)})') from error
    finally:
        gc.enable()


def check_coco(content: Mapping[str, list[Any]], rules: CocoRules) -> Iterator[Finding]:
    """Everything that is wrong with an annotation file.

    Args:
        content: What ``read_coco`` gave.
        rules: What is expected.
    """
    categories = content['categories']
    learned = (c for c in categories if rules.classes is None or c.get('name') in rules.classes)
    file = CocoFile(
        images=content['images'],
        annotations=content['annotations'],
        categories=categories,
        listed=frozenset(category.get('id') for category in categories),
        learned=frozenset(category.get('id') for category in learned),
    )
    for check in FILE_CHECKS:
        yield from check(file, rules)


def _check_images(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    for index, image in enumerate(file.images):
        place = rules.file, f'image {image.get("id", f"number {index}")}'
        wrong = list(_image_faults(image))
        yield from (Finding('incomplete image record', reason, *place) for reason in wrong)
        identity = image.get('id')
        if isinstance(identity, (list, dict)):
            continue
        if identity in file.sizes:
            yield Finding('id given twice', 'another image has this id', *place)
        file.sizes[identity] = None if wrong else (image['width'], image['height'])


def _image_faults(image: Record) -> Iterator[str]:
    missing = [key for key in ('id', 'file_name', 'width', 'height') if key not in image]
    if missing:
        yield f'has no {", ".join(missing)}'
    for key in ('width', 'height'):
        if key in image and not _is_size(image[key]):
            yield f'{key} is {_shown(image[key])}, no number of pixels'
    if not isinstance(image.get('file_name', ''), str):
        yield 'its file_name is no text'
    if isinstance(image.get('id'), (list, dict)):
        yield 'its id is no number'


def _check_classes(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    """mmdet numbers labels in the file's order, and its metric by the file's ids: all names have to meet."""
    classes = list(rules.classes or ())
    names = [category.get('name') for category in file.categories]
    known = [name for name in names if name in classes]
    missing = [name for name in classes if name not in names]
    in_order = known == [name for name in classes if name in names]
    shifts = missing != classes[len(classes) - len(missing) :]
    if missing and (rules.evaluated or (rules.learns and (shifts or rules.alone))):
        joined = (f'{a}{b}' for a in map(str, names) for b in map(str, names))
        comma = next((name for name in missing if name in joined), None)
        reason = f'no category of this name: the config has {listed(classes)}, the file {listed(names)}'
        hint = f'; is a comma missing in {comma!r}?' if comma else ''
        yield Finding('class not in the file', reason + hint, rules.file, f'class {missing[0]!r}')
    elif not in_order or len(known) > len(set(known)):
        twice = next((name for name in known if known.count(name) > 1), None)
        reason = f'the file has {listed(known)}, in this order; the config {listed(classes)}'
        yield Finding('classes in another order', f'{twice!r} stands twice' if twice else reason, rules.file)


def _check_annotations(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    for index, annotation in enumerate(file.annotations):
        faults = list(_annotation_faults(annotation, file, rules))
        for fault in faults:
            yield fault.at(rules.file, f'annotation {annotation.get("id", f"number {index}")}')
        unlearned = [(fault.kind, fault.reason) for fault in faults if KINDS[fault.kind].unlearned]
        if not unlearned and annotation.get('iscrowd'):
            unlearned = [('crowd', 'iscrowd is 1')]
        if unlearned:
            file.why.setdefault(unlearned[0][0], []).append(unlearned[0][1])
            continue
        if rules.evaluated and (trap := trap_of(annotation, keypoints=rules.keypoints is not None)):
            yield trap.at(rules.file, f'annotation {annotation["id"]}')
        file.used[annotation['category_id']] += 1
        file.with_annotation.add(annotation['image_id'])


def _check_boxes(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    reason = corner_boxes(file.annotations, file.sizes)
    if reason:
        yield Finding('boxes by their corners', reason, rules.file)
    if rules.keypoints is not None and are_fractions(file.annotations):
        yield Finding('keypoints as fractions', 'no coordinate of a keypoint is beyond 1', rules.file)


def _check_use(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    if not file.images:
        yield Finding('no usable annotation', 'the list of images is empty', rules.file)
    elif not file.used and (rules.learns or rules.evaluated):
        yield Finding('no usable annotation', _why_unused(file, rules), rules.file)
    elif rules.learns and file.with_annotation and not any(map(rules.keeps, file.images)):
        reason = (
            f'none of {len(file.images)} images has sides of {rules.min_size:g} pixels or more (min_size)'
        )
        yield Finding('no usable annotation', reason, rules.file)
    elif rules.learns:
        yield from _check_coverage(file, rules)


def _why_unused(file: CocoFile, rules: CocoRules) -> str:
    """What keeps most of the annotations from being learned."""
    reason = f'none of {len(file.annotations)} annotations can be used'
    kind, reasons = max(file.why.items(), key=lambda why: len(why[1]), default=('', []))
    if kind and (file.learned or not kind.startswith('category')):
        return f'{reason} ({len(reasons)} x {kind}: {reasons[0]})'
    names = [category.get('name') for category in file.categories]
    wanted = f'; the config learns {listed(rules.classes)}' if rules.classes else ''
    return f'{reason} (categories in the file: {listed(names)}{wanted})'


def _check_coverage(file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    names = [category.get('name') for category in file.categories]
    for name, identity in zip(names, (category.get('id') for category in file.categories), strict=True):
        if identity in file.learned and not file.used[identity]:
            yield Finding('class without annotation', 'none can be learned', rules.file, f'category {name!r}')
    for image in file.images:
        if image.get('id') not in file.with_annotation:
            reason = 'none that can be learned'
            yield Finding('image without annotation', reason, rules.file, f'image {image.get("id")}')


def _annotation_faults(annotation: Record, file: CocoFile, rules: CocoRules) -> Iterator[Finding]:
    if not annotation.keys() >= rules.required:
        missing = sorted(rules.required - annotation.keys())
        yield Finding('incomplete annotation', f'has no {", ".join(missing)}')
        return
    identity, image, category = (annotation.get(key) for key in ('id', 'image_id', 'category_id'))
    if any(isinstance(value, (list, dict)) for value in (identity, image, category)):
        yield Finding('incomplete annotation', 'an id or category is no number')
        return
    if identity in file.seen:
        yield Finding('id given twice', 'another annotation has this id')
    file.seen.add(identity)
    if image not in file.sizes:
        yield Finding('unknown image', f'of image {image!r}, which is not listed')
        return
    if rules.classes is not None and category not in file.learned:
        where = 'the config' if category in file.listed else 'the list of categories'
        yield Finding('category not in the config', f'of category {category!r}, which is not in {where}')
        return
    if category not in file.listed:
        reason = f'of category {category!r}, which is not in the list of categories'
        yield Finding('category not listed', reason)
    for check in ANNOTATION_CHECKS:
        yield from check(annotation, file.sizes[image], rules)


def _check_box(annotation: Record, size: ImageSize, rules: CocoRules) -> Iterator[Finding]:
    box, area = annotation.get('bbox'), annotation.get('area', 1)
    if box is None and rules.keypoints is not None:
        yield Finding('box of no size', 'has no bbox')
        return
    if not isinstance(box, list) or len(box) != 4:
        yield Finding('incomplete annotation', f'bbox is {_shown(box)}; expected [x, y, width, height]')
        return
    if not are_pixels([*box, area]):
        yield Finding('no finite number', f'bbox is {_shown(box)}, area {_shown(annotation.get("area"))}')
        return
    x, y, width, height = box
    least = 1 if rules.keypoints is None else 0
    if width < least or height < least or min(width, height) <= 0 or (area <= 0 and least):
        yield Finding('box of no size', f'{width:g} x {height:g} pixels, area {area:g}')
    elif size is not None and not (x < size[0] and y < size[1] and x + width > 0 and y + height > 0):
        yield Finding('box outside the image', f'{_shown(box)} in an image of {size[0]:g}x{size[1]:g}')


def _check_segmentation(annotation: Record, size: ImageSize, rules: CocoRules) -> Iterator[Finding]:
    if rules.masks and not annotation.get('segmentation'):
        yield Finding('no segmentation', 'its segmentation is empty, and the config learns masks')
    elif rules.masks and (why := segmentation_fault(annotation['segmentation'], size=size)):
        yield Finding('malformed segmentation', why)


def _check_keypoints(annotation: Record, size: ImageSize, rules: CocoRules) -> Iterator[Finding]:
    if rules.keypoints is None:
        return
    points = annotation.get('keypoints')
    if points is None:
        # metrics want them of every annotation
        yield Finding('no keypoints' if rules.learns else 'incomplete annotation', 'has no keypoints')
    elif isinstance(points, list) and not any(points):
        yield Finding('no keypoints', 'none of its keypoints is labelled')
    elif not isinstance(points, list) or len(points) != 3 * rules.keypoints:
        count = len(points) if isinstance(points, list) else _shown(points)
        reason = f'{count} numbers; expected {rules.keypoints} x (x, y, visibility)'
        yield Finding('wrong number of keypoints', reason)
    elif not are_pixels(points):
        wrong = next(i for i, value in enumerate(points) if not are_pixels([value]))
        reason = f'keypoint {wrong // 3} is {_shown(points[wrong - wrong % 3 :][:3])}'
        yield Finding('no finite number', reason)
    elif min(points[2::3]) < 0:
        yield Finding('wrong visibility', f'{_shown(min(points[2::3]))}; expected 0, 1 or 2')
    elif not any(points[2::3]):
        yield Finding('no keypoints', 'the visibility of all its keypoints is 0: they count as not labelled')
    elif annotation.get('num_keypoints') == 0:
        yield Finding('no keypoints', 'its num_keypoints is 0')
    elif size is not None and (number := _first_outside(points, *size)) is not None:
        place, (width, height) = points[3 * number :][:2], size
        reason = f'keypoint {number} at {_shown(place)} in an image of {width:g}x{height:g}'
        yield Finding('keypoint outside the image', reason)


def _first_outside(points: Sequence[float], width: float, height: float) -> int | None:
    """The number of the first labelled keypoint outside the image."""
    x, y, seen = points[::3], points[1::3], points[2::3]
    if min(*x, *y) >= -_MARGIN and max(x) <= width + _MARGIN and max(y) <= height + _MARGIN:
        return None  # nearly always, and sooner known than point by point
    for number, labelled in enumerate(seen):
        inside = -_MARGIN <= x[number] <= width + _MARGIN and -_MARGIN <= y[number] <= height + _MARGIN
        if labelled > 0 and not inside:
            return number
    return None


def _is_size(value: Any) -> bool:
    """Whether a value can be the width or height of an image, in pixels."""
    return isinstance(value, (int, float)) and 1 <= value < HUGE


def _shown(value: Any) -> str:
    """A value in words, cut short."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return 'a number of thousands of digits'
    return text if len(text) <= 60 else f'{text[:57]}...'


#: In this order: each may use what those before it have met.
FILE_CHECKS: Final[tuple[Callable[[CocoFile, CocoRules], Iterator[Finding]], ...]] = (
    _check_images,
    _check_classes,
    _check_annotations,
    _check_boxes,
    _check_use,
)
#: Of an annotation whose ids are known; in the order of cost.
ANNOTATION_CHECKS: Final[tuple[Callable[[Record, ImageSize, CocoRules], Iterator[Finding]], ...]] = (
    _check_box,
    _check_segmentation,
    _check_keypoints,
)
