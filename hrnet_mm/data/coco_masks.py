"""Label maps for semantic segmentation out of the polygons of a COCO file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

_PERSON = ('person',)


def write_coco_masks(
    ann_file: str | Path, out_dir: str | Path, *, categories: Sequence[str] = _PERSON, progress: bool = True
) -> list[Path]:
    """Write one PNG per image: 0 background, ``i`` the i-th of ``categories``, 255 crowds (ignored).

    Where instances overlap the smaller one is on top.

    Args:
        ann_file: COCO annotation file with polygons or run-length masks.
        out_dir: folder for ``<image stem>.png``, 8-bit, of the image's size.
        categories: names of the categories that count, in the order of their labels.
        progress: show a bar with the remaining time.

    Raises:
        ValueError: no such file, a category that the file does not know, or pycocotools is missing.
    """
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise ValueError('polygons are read by pycocotools; install it: pip install pycocotools') from error
    if not Path(ann_file).is_file():
        raise ValueError(f'ann_file={str(ann_file)!r} does not exist; expected a COCO annotation file')
    try:
        coco = COCO(str(ann_file))
        known = {category['name']: category['id'] for category in coco.dataset['categories']}
        images = coco.dataset['images']
    except (KeyError, AssertionError, json.JSONDecodeError) as error:
        raise ValueError(
            f'ann_file={str(ann_file)!r} is no COCO annotation file ({type(error).__name__}: {error}); '
            'expected JSON with images, annotations and categories'
        ) from error
    unknown = [name for name in categories if name not in known]
    if unknown:
        raise ValueError(f'categories={list(categories)!r}: {unknown} not in {sorted(known)} of {ann_file}')
    empty = [name for name in categories if not coco.getAnnIds(catIds=known[name])]
    if empty:
        warnings.warn(f'no instance of {", ".join(empty)} in {ann_file}', stacklevel=2)
    labels = {known[name]: label for label, name in enumerate(categories, start=1)}

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for image in tqdm(images, desc='masks', disable=not progress):
        path = out_dir / f'{Path(image["file_name"]).stem}.png'
        cv2.imwrite(str(path), _label_map(coco, image, labels))
        written.append(path)
    return written


def _label_map(coco: Any, image: dict[str, Any], labels: dict[int, int]) -> np.ndarray:
    label_map = np.zeros((image['height'], image['width']), dtype=np.uint8)
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id'], catIds=list(labels)))
    for annotation in sorted(annotations, key=lambda a: (not a['iscrowd'], -a['area'])):
        label = 255 if annotation['iscrowd'] else labels[annotation['category_id']]
        label_map[coco.annToMask(annotation).astype(bool)] = label
    return label_map
