"""Small data sets as people and their tools leave them: bright squares, and where they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 64
#: Class -> blue, green, red.
COLOURS = {'cat': (0, 0, 255), 'dog': (0, 255, 0), 'owl': (255, 0, 0)}


def square(number: int) -> tuple[int, int, int]:
    """Left, top and side of the square of an image."""
    return 4 + number % 5 * 6, 8 + number % 3 * 8, 20


def labels(number: int) -> np.ndarray:
    """Class of each pixel, (SIDE, SIDE): 0 around the square, 1 or 2 in it."""
    left, top, side = square(number)
    ids = np.zeros((SIDE, SIDE), np.uint8)
    ids[top : top + side, left : left + side] = 1 + number % 2
    return ids


def write_image(path: Path, number: int) -> None:
    """The image of a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((SIDE, SIDE, 3), 40, np.uint8)
    picture[labels(number) > 0] = list(COLOURS.values())[number % 2]
    cv2.imwrite(str(path), picture)


def coco(numbers: Sequence[int], *, names: str = '{}.png', keypoints: Sequence[str] = ()) -> dict[str, Any]:
    """COCO annotations of images: one square each, of the class cat or dog; its corners, as keypoints."""
    categories: list[dict[str, Any]] = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    annotations = []
    for number in numbers:
        left, top, side = square(number)
        annotation: dict[str, Any] = dict(
            id=number + 1,
            image_id=number,
            category_id=1 + number % 2,
            bbox=[left, top, side, side],
            area=side * side,
            iscrowd=0,
            segmentation=[],
        )
        if keypoints:
            corners = [(left, top), (left + side, top), (left, top + side)]
            annotation.update(category_id=1, keypoints=[n for x, y in corners for n in (x, y, 2)])
            categories = [dict(id=1, name='cat', keypoints=[*keypoints], skeleton=[[1, 2], [1, 3]])]
        annotations.append(annotation)
    images = [dict(id=n, file_name=names.format(n), width=SIDE, height=SIDE) for n in numbers]
    return dict(images=images, annotations=annotations, categories=categories)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """One annotation file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
