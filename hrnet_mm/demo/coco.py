"""COCO's JSON files, built up scene by scene."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .labels import COCO_IDS, instance_categories, person_categories
from .polygons import mask_polygons
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
        plain = [
            {key: value for key, value in record.items() if 'keypoints' not in key}
            for record in self._annotations
        ]
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
