"""COCO's JSON files, built up scene by scene, with masks as polygons that decode to the same pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .labels import COCO_IDS, instance_categories, person_categories
from .scene import Instance, Scene

_INFO = {'description': 'Synthetic street scenes', 'version': '1', 'year': 2017}
_LICENCES = [{'id': 1, 'name': 'Apache License 2.0', 'url': ''}]


class CocoWriter:
    """Collects the records of one split."""

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, scene: Scene, *, image_id: int, file_name: str) -> None:
        """Record a scene and its instances."""
        height, width = scene.semantic.shape
        self._images.append(
            {'id': image_id, 'file_name': file_name, 'height': height, 'width': width, 'license': 1}
        )
        for number, instance in enumerate(scene.instances, start=1):
            # Far fewer than 100 instances stand in a scene, so ids never meet.
            self._annotations.append(_annotation(instance, image_id * 100 + number, image_id))

    def instances(self) -> str:
        """The text of `instances_*.json`: people and cars, all 80 categories named."""
        plain = [{k: v for k, v in record.items() if 'keypoints' not in k} for record in self._annotations]
        return self._text(plain, instance_categories())

    def person_keypoints(self) -> str:
        """The text of `person_keypoints_*.json`: people only, with their keypoints."""
        people = [record for record in self._annotations if 'keypoints' in record]
        return self._text(people, person_categories())

    def _text(self, annotations: list[dict[str, Any]], categories: list[dict[str, object]]) -> str:
        content = {
            'info': _INFO,
            'licenses': _LICENCES,
            'images': self._images,
            'annotations': annotations,
            'categories': categories,
        }
        return json.dumps(content, separators=(',', ':'))


def _annotation(instance: Instance, number: int, image_id: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        'id': number,
        'image_id': image_id,
        'category_id': COCO_IDS[instance.category],
        'bbox': list(instance.bbox),
        'area': instance.area,
        'segmentation': mask_polygons(instance.mask),
        'iscrowd': 0,
    }
    if instance.keypoints is not None:
        flat = np.round(instance.keypoints, 2).ravel().tolist()
        # COCO writes the visibility as a whole number.
        record['keypoints'] = [int(value) if place % 3 == 2 else value for place, value in enumerate(flat)]
        record['num_keypoints'] = int((instance.keypoints[:, 2] > 0).sum())
    return record


def mask_polygons(mask: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Outline a mask (H, W) along the edges of its pixels.

    COCO polygons know no holes, so a piece with a hole is cut in two through it. Each polygon is
    x0, y0, x1, y1, ... in pixels, where pixel (column, row) reaches from (column, row) to
    (column + 1, row + 1).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return []
    top, left = int(rows[0]), int(columns[0])
    patch = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    return [_outline(piece, offset=(left, top)) for piece in _solid_pieces(patch)]


def _solid_pieces(mask: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Split a mask into connected pieces (by edges, not corners) without holes."""
    count, pieces = cv2.connectedComponents(mask, connectivity=4)
    for number in range(1, count):
        piece = np.asarray(pieces == number, np.uint8)
        column = _hole_column(piece)
        if column is None:
            yield piece
            continue
        left, right = piece.copy(), piece.copy()
        left[:, column:], right[:, :column] = 0, 0
        yield from _solid_pieces(left)
        yield from _solid_pieces(right)


def _hole_column(piece: npt.NDArray[np.uint8]) -> int | None:
    """A column through a hole of the piece, or None if it has no hole.

    Gaps are told apart by edges alone: one that opens only through a corner is cut as well, so that
    no outline touches itself.
    """
    count, gaps = cv2.connectedComponents(np.pad(1 - piece, 1, constant_values=1), connectivity=4)
    outside = gaps[0, 0]
    for number in range(1, count):
        if number != outside:
            columns = np.flatnonzero((gaps == number).any(axis=0)) - 1
            return int(columns[len(columns) // 2])
    return None


def _outline(piece: npt.NDArray[np.uint8], *, offset: tuple[int, int]) -> list[int]:
    """The one polygon around a piece, corners only, moved by `offset` (x, y) pixels."""
    doubled = np.repeat(np.repeat(piece, 2, axis=0), 2, axis=1)
    contours, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # In the doubled picture a pixel's edges lie on its outer sub-pixels 2x and 2x + 1.
    corners = (np.asarray(contours[0])[:, 0] + 1) // 2
    corners = corners[np.any(corners != np.roll(corners, 1, axis=0), axis=1)]
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return [int(value) for value in (corners[turns] + offset).ravel()]
