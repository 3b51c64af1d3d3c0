"""What exporters leave out of COCO files, or write as the packages cannot read it, put right in a copy."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ..config.errors import ConfigError
from ..data.coco import has_byte_order_mark
from ..data.images import read_header
from ..data.segmentations import are_pixels
from .folder import Folder, split_of

Record = dict[str, Any]


def has_keypoints(content: Mapping[str, list[Any]]) -> bool:
    """Whether any annotation has a labelled keypoint."""
    return any(any(annotation.get('keypoints') or ()) for annotation in content['annotations'])


def id_text(value: Any) -> str:
    """An id as text, the same for 1, 1.0 and '1'."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def repair(
    folder: Folder,
    file: str,
    content: Mapping[str, list[Any]],
    categories: Sequence[Mapping[str, Any]],
    *,
    pose: bool,
) -> tuple[str, dict[str, list[Any]], Counter[str]]:
    """A copy that the packages read as it is meant.

    Args:
        folder: Where the images are looked for.
        file: The annotation file, relative to it.
        content: What is in it.
        categories: Those to learn, in the order of their labels, with the ids that they will have.
        pose: Whether keypoints are learned.

    Returns:
        The folder of the images, to put before each ``file_name``; the content; what was changed and how
        often, nothing where the file can be used as it is.

    Raises:
        ConfigError: none of its images is there.
    """
    changes: Counter[str] = Counter()
    if has_byte_order_mark(folder.root / file):
        changes['byte order mark left out'] += 1
    prefix, places = _locate(folder, file, content['images'])
    images = _images(folder, content['images'], prefix, places, changes)
    annotations = _annotations(content, images, categories, changes, pose=pose)
    same_labels = [c for c in content['categories'] if _is_among(c, categories)]
    if [(c.get('id'), c.get('name')) for c in same_labels] != [(c['id'], c['name']) for c in categories]:
        changes['category in another place than in training'] += len(categories)
    kept = {key: value for key, value in content.items() if key in ('info', 'licenses')}
    records = [image for image in images.values() if image]
    return (
        prefix,
        {**kept, 'categories': [*categories], 'images': records, 'annotations': annotations},
        changes,
    )


def _locate(folder: Folder, file: str, images: Iterable[Record]) -> tuple[str, dict[str, str]]:
    """Where images are: a folder that all names are relative to, or each by the end of its name.

    Returns:
        The folder, ending in a slash or empty, and name in the file -> path relative to it.
    """
    known = set(folder.images)
    by_name: dict[str, list[str]] = {}
    for path in folder.images:
        by_name.setdefault(PurePosixPath(path).name.lower(), []).append(path)

    def preference(path: str) -> tuple[bool, bool, int, str]:
        beside_file = path.startswith(file.rpartition('/')[0])
        return not beside_file, split_of(path.rpartition('/')[0]) != split_of(file), len(path), path

    names = [str(image.get('file_name', '')) for image in images]
    first = PurePosixPath(names[0]).name.lower() if names else ''
    for path in sorted(by_name.get(first, ()), key=preference):
        prefix = path.removesuffix(names[0])
        if prefix in ('', f'{prefix.rstrip("/")}/') and all(prefix + name in known for name in names):
            return prefix, {name: name for name in names}
    places = {}
    for name in names:
        for tail in _tails(name):
            same = by_name.get(tail.rpartition('/')[2].lower(), ())
            found = [p for p in same if f'/{p}'.lower().endswith(f'/{tail}'.lower())]
            if found:
                places[name] = min(found, key=lambda p: (not p.endswith(tail), preference(p)))
                break
    if not places:
        example = names[0] if names else 'no image at all'
        expected = f'its images in {folder.root}, as {example!r}; found none of {len(names)}'
        raise ConfigError(key='DATA', value=file, expected=expected)
    return '', places


def _tails(name: str) -> Iterator[str]:
    """Ends of a path, the longest first: as it stands, as an address, without Label Studio's prefix."""
    address = re.split(r'\?d=', unquote(name))[-1].partition('?')[0]
    folder, slash, last = address.replace('\\', '/').rpartition('/')
    for path in (name, address, f'{folder}{slash}{re.sub("^[0-9a-f]{8}-", "", last)}'):
        parts = PurePosixPath(path.replace('\\', '/')).parts
        yield from ('/'.join(parts[start:]) for start in range(len(parts)))


def _images(
    folder: Folder, images: Sequence[Record], prefix: str, places: Mapping[str, str], changes: Counter[str]
) -> dict[str, Record]:
    """Id in the file -> record, empty where the image is not there."""
    ids = [image.get('id') for image in images]
    numbered = all(type(number) is int for number in ids)
    if not numbered:
        changes['image id that is no number'] += len(images)
    records: dict[str, Record] = {}
    for number, image in enumerate(images, start=1):
        name = str(image.get('file_name', ''))
        place = places.get(name)
        if place is None:
            changes['image that is not there, left out'] += 1
            records[id_text(image.get('id'))] = {}
            continue
        record = {**image, 'id': image['id'] if numbered else number, 'file_name': place}
        if place != name:
            changes['path of an image corrected'] += 1
        if not image.get('width') or not image.get('height'):
            changes['size of an image filled in'] += 1
            record['width'], record['height'] = read_header(folder.root / (prefix + place)).upright_size
        records[id_text(image.get('id'))] = record
    return records


def _annotations(
    content: Mapping[str, list[Any]],
    images: Mapping[str, Record],
    categories: Sequence[Mapping[str, Any]],
    changes: Counter[str],
    *,
    pose: bool,
) -> list[Record]:
    ids = [annotation.get('id') for annotation in content['annotations']]
    # pycocotools takes a match with annotation 0 for none
    numbered = all(type(number) is int and number > 0 for number in ids) and len(set(ids)) == len(ids)
    if not numbered:
        changes['annotation id that is 0, missing, no number or given twice'] += len(ids)
    wanted = {str(category['name']): category['id'] for category in categories}
    names = {id_text(category.get('id')): str(category.get('name')) for category in content['categories']}
    kept = []
    for number, annotation in enumerate(content['annotations'], start=1):
        image = images.get(id_text(annotation.get('image_id')))
        category = wanted.get(names.get(id_text(annotation.get('category_id')), ''))
        points = annotation.get('keypoints') or () if pose else ()
        if not isinstance(points, (list, tuple)) or not are_pixels(points) or len(points) % 3:
            expected = 'keypoints x, y, visibility, x, y, visibility, ... in numbers'
            raise ConfigError('DATA', f'annotation {annotation.get("id")}', expected)
        if not image or category is None or (pose and not points):
            if image and pose:  # mmdet leaves out what is of another class, mmpose does not
                changes['annotation without keypoints left out'] += 1
            continue
        own = {
            'id': annotation['id'] if numbered else number,
            'image_id': image['id'],
            'category_id': category,
        }
        kept.append(_filled({**annotation, **own}, changes, pose=pose))
    return kept


def _filled(annotation: Record, changes: Counter[str], *, pose: bool) -> Record:
    """What losses and metrics read and exporters leave out."""
    points = annotation.get('keypoints') or ()
    box = annotation.get('bbox')
    if not (isinstance(box, list) and len(box) == 4 and are_pixels(box)):
        annotation['bbox'] = _extent(annotation)
        changes['bbox around the outline or the keypoints'] += 1
    box = annotation.get('bbox') or (0, 0, 0, 0)
    fills: dict[str, Any] = {'iscrowd': 0, 'area': box[2] * box[3]}
    if pose:
        fills['num_keypoints'] = sum(seen > 0 for seen in points[2::3])
    for key, value in fills.items():
        if annotation.get(key) is None or (key == 'area' and not annotation['area']):
            annotation[key] = value
            changes[f'{key} filled in'] += 1
    return annotation


def _extent(annotation: Mapping[str, Any]) -> list[float] | None:
    """x, y, width and height of polygons, or of labelled keypoints and a quarter around them."""
    outline, points = annotation.get('segmentation'), annotation.get('keypoints') or ()
    if isinstance(outline, list) and outline and isinstance(outline[0], list):
        numbers = list(chain.from_iterable(outline))
        xs, ys, margin = numbers[::2], numbers[1::2], 0.0
    else:
        seen = [k for k in range(0, len(points), 3) if points[k + 2] > 0]
        xs, ys, margin = [points[k] for k in seen], [points[k + 1] for k in seen], 0.125
    if not xs or not are_pixels([*xs, *ys]):
        return None
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    x, y = min(xs) - margin * width, min(ys) - margin * height
    return [x, y, width * (1 + 2 * margin), height * (1 + 2 * margin)]


def _is_among(category: Mapping[str, Any], categories: Iterable[Mapping[str, Any]]) -> bool:
    return any(category.get('name') == other['name'] for other in categories)
