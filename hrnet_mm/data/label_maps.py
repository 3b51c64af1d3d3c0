"""Label maps: what a data set expects of them, what is wrong with one, and making them from polygons."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as pillow
from tqdm import tqdm

from ..config.errors import one_line
from ..utils import listed
from .coco import UnreadableAnnotations, read_coco
from .findings import Finding
from .images import open_header, read_header
from .segmentations import segmentation_fault

#: What label maps are drawn from: lists of a COCO file, and the keys that each record needs.
_DRAWN_FROM: Final = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': ('id', 'image_id', 'category_id', 'segmentation'),
    'categories': ('id', 'name'),
}


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """What a data set expects of its label maps."""

    classes: int  # how many
    ignore_index: int = 255  # the id of pixels that are not learned, beside 255
    reduce_zero_label: bool = False  # whether id 0 is not learned, and 1 is the first class
    #: Id in the file -> label, where the config learns other classes than the file has.
    label_map: Mapping[int, int] | None = None
    names: tuple[str, ...] = ()  # of the classes

    def labels(self) -> npt.NDArray[np.uint8]:
        """What the loader makes of ids 0 to 255, (256,)."""
        table = np.arange(256, dtype=np.uint8)
        if self.reduce_zero_label:
            table = np.where((table == 0) | (table == 255), 255, table - 1).astype(np.uint8)
        before = table.copy()
        for old, new in (self.label_map or {}).items():
            table[before == old] = new
        return table


def label_rules(dataset: Any) -> LabelRules | None:
    """What a built data set expects of its label maps; None where it has none."""
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not hasattr(dataset, 'reduce_zero_label') or classes is None:
        return None
    return LabelRules(
        classes=len(classes),
        ignore_index=int(getattr(dataset, 'ignore_index', 255)),
        reduce_zero_label=bool(dataset.reduce_zero_label),
        label_map=getattr(dataset, 'label_map', None),
        names=tuple(map(str, classes)),
    )


def check_label_map(
    path: str, *, image: str, rules: LabelRules, size: tuple[int, int] | None = None
) -> Iterator[Finding]:
    """Everything that is wrong with a label map.

    Args:
        path: The label map.
        image: Its image's file; whatever is wrong with that is said by ``check_image``.
        rules: What is expected.
        size: Width and height of the image in pixels, where PIL is not who reads it.
    """
    header = yield from open_header(path, noun='label map')
    if header is None:
        return
    ids = yield from open_ids(path)
    with suppress(OSError, ValueError):  # said of the image itself
        yield from check_map_size(
            (header.width, header.height), image=size or read_header(image).upright_size
        )
    if ids is not None:
        yield from check_labels(rules.labels()[ids], ids=ids, rules=rules)


def check_ids(paths: Sequence[str], *, rules: LabelRules, most: int) -> Iterator[Finding]:
    """What the ids of a data set's label maps tell together.

    Args:
        paths: The label maps; faults of single ones are said by ``check_label_map``.
        rules: What is expected.
        most: So many are looked at, spread over all.
    """
    looked = paths[:: -(-len(paths) // most)] if paths else ()
    ids = set()
    for path in looked:
        with suppress(Exception), pillow.open(path) as opened:  # PIL's plugins raise whatever they like
            ids.update(np.unique(np.array(opened)).tolist())
    ids = {int(number) for number in ids if 0 <= number <= 255}  # of one bit: False and True
    labels = rules.labels()[sorted(ids)].tolist()
    names = rules.names or tuple(map(str, range(rules.classes)))
    absent = [name for number, name in enumerate(names) if number not in labels]
    if not ids or not absent:
        return
    if ids == {0, 255}:
        reason = f'the only ids are 0 and 255, and 255 is ignored: no pixel of class {", ".join(absent)}'
        yield Finding('binary label maps', f'{reason}; write class ids instead: 1 for 255')
    elif not rules.reduce_zero_label and ids - {255} == set(range(1, rules.classes + 1)):
        reason = f'ids {min(ids)} to {rules.classes} and no 0, for classes {", ".join(names)}'
        yield Finding('label maps from 1', f'{reason}; set reduce_zero_label=True')
    elif len(looked) == len(paths):
        yield Finding('class without a pixel', f'{listed(absent)}; the ids are {listed(sorted(ids))}')


def open_ids(path: str) -> Generator[Finding, None, npt.NDArray[np.uint8] | None]:
    """The ids in a label map, (H, W), returned to ``yield from``, or a fault and None."""
    try:
        with pillow.open(path) as opened:
            ids = np.array(opened).squeeze()
    except Exception as error:  # PIL's plugins raise whatever broken data make them
        yield Finding('unreadable label map', one_line(error))
        return None
    if ids.ndim != 2:
        yield Finding(
            'label map with channels', f'it has {ids.shape[-1]} channels; expected one, of class ids'
        )
        return None
    if ids.min() < 0 or ids.max() > 255:
        yield Finding('16-bit label map', f'it holds ids up to {ids.max()}; expected 0 to 255')
        return None
    return ids.astype(np.uint8)


def check_map_size(size: tuple[int, int], *, image: tuple[int, int]) -> Iterator[Finding]:
    """Compare the sizes of a label map and its image, each width and height in pixels."""
    if size != image:
        reason = f'it has {size[0]}x{size[1]} pixels, the image {image[0]}x{image[1]}'
        yield Finding('label map of another size', reason)


def check_labels(labels: npt.NDArray[Any], *, ids: npt.NDArray[Any], rules: LabelRules) -> Iterator[Finding]:
    """Whether labels, (H, W), are classes or ignored.

    Args:
        labels: As the loader makes them.
        ids: What to call them by: the values in the file.
        rules: What is expected.
    """
    wrong = (labels >= rules.classes) & (labels != rules.ignore_index) & (labels != 255)
    if wrong.any():
        unexpected = np.unique(ids[wrong]).tolist()
        share = f'{wrong.mean():.1%} of the pixels'
        reason = f'ids {listed(unexpected)} ({share}) are none of {rules.classes} classes'
        if unexpected == [rules.classes] and not rules.reduce_zero_label:
            reason += '; where ids count from 1, set reduce_zero_label=True'
        yield Finding('unexpected class id', reason)


def write_coco_masks(
    ann_file: str | Path,
    out_dir: str | Path,
    *,
    categories: Sequence[str] = ('person',),
    progress: bool = True,
) -> list[Path]:
    """Write one PNG per image: 0 background, ``i`` the i-th of ``categories``, 255 crowds (ignored).

    Where instances overlap the smaller one is on top.

    Args:
        ann_file: COCO annotation file with polygons or run-length masks.
        out_dir: folder for one 8-bit PNG of each image's size, in the folders that its name has.
        categories: names of the categories that count, in the order of their labels.
        progress: show a bar with the remaining time.

    Raises:
        ValueError: no such file, a record that lacks a key, a category that the file does not know, a
            segmentation that can't be drawn, or pycocotools is missing.
    """
    coco, known = _open_coco(ann_file)
    unknown = [name for name in categories if name not in known]
    if unknown:
        raise ValueError(f'categories={list(categories)!r}: {unknown} not in {sorted(known)} of {ann_file}')
    empty = [name for name in categories if not coco.getAnnIds(catIds=known[name])]
    if empty:
        warnings.warn(f'no instance of {", ".join(empty)} in {ann_file}', stacklevel=2)
    labels = {known[name]: label for label, name in enumerate(categories, start=1)}
    annotations = coco.loadAnns(coco.getAnnIds(catIds=list(labels)))
    if without := sum(not annotation['segmentation'] for annotation in annotations):
        warnings.warn(
            f'{without} annotations without an outline become background in {ann_file}', stacklevel=2
        )

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    names = [_mask_name(image['file_name']) for image in coco.dataset['images']]
    if twice := [str(name) for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f'ann_file={str(ann_file)!r}: several images would have the label map {twice[0]}')
    for image, name in zip(tqdm(coco.dataset['images'], 'masks', disable=not progress), names, strict=True):
        path = out_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), _drawn_labels(coco, image, labels))
        written.append(path)
    return written


def _mask_name(file_name: str) -> Path:
    """In the image's own folder, of whatever system: two of these may have images of one name."""
    path = PureWindowsPath(file_name)  # takes both kinds of slashes
    return Path(*(part for part in path.parts if part not in (path.anchor, '..'))).with_suffix('.png')


def _open_coco(ann_file: str | Path) -> tuple[Any, dict[str, int]]:
    """An annotation file in pycocotools' index, and its categories' ids."""
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise ValueError('polygons are read by pycocotools; install it: pip install pycocotools') from error
    if not Path(ann_file).is_file():
        raise ValueError(f'ann_file={str(ann_file)!r} does not exist; expected a COCO annotation file')
    try:
        content = read_coco(str(ann_file))
    except UnreadableAnnotations as error:
        raise ValueError(f'ann_file={str(ann_file)!r} is no COCO annotation file: it {error}') from error
    for kind, keys in _DRAWN_FROM.items():
        for number, record in enumerate(content[kind]):
            missing = [key for key in keys if record.get(key) is None]
            if missing:
                place = f'{kind}[{number}], id {record.get("id")}'
                raise ValueError(f'ann_file={str(ann_file)!r}: {place}, has no {", ".join(missing)}')
    for image in content['images']:
        for key in ('width', 'height'):
            if not isinstance(image[key], (int, float)) or not image[key] >= 1:
                place = f'image {image["id"]}, {key}={image[key]!r}'
                raise ValueError(f'ann_file={str(ann_file)!r}: {place}; expected a number of pixels')
            image[key] = int(image[key])
    coco = COCO()
    coco.dataset = content
    with redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco, {category['name']: category['id'] for category in content['categories']}


def _drawn_labels(coco: Any, image: Mapping[str, Any], labels: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    label_map = np.zeros((image['height'], image['width']), dtype=np.uint8)
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id'], catIds=list(labels)))
    drawn = [annotation for annotation in annotations if annotation.get('segmentation')]
    for annotation in sorted(drawn, key=lambda a: (not a.get('iscrowd'), -(a.get('area') or 0))):
        why = segmentation_fault(annotation['segmentation'], size=(image['width'], image['height']))
        if why:
            raise ValueError(f'annotation {annotation["id"]} of image {image["id"]}: {why}')
        label = 255 if annotation.get('iscrowd') else labels[annotation['category_id']]
        label_map[coco.annToMask(annotation).astype(bool)] = label
    return label_map
