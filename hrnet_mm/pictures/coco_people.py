"""The people of a COCO keypoint file, for pictures of runs on detected boxes.

With ``bbox_file`` set, as in most of mmpose's COCO configs, a data sample is a detected box with
keypoints of zeros in place of the truth. The truth is still in the annotation file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.fileio import get_text
from mmengine.structures import InstanceData


class CocoPeople:
    """Annotated people by image.

    Args:
        ann_file: A COCO keypoint file.
    """

    def __init__(self, ann_file: str) -> None:
        self._by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in json.loads(get_text(ann_file))['annotations']:
            if any(annotation.get('keypoints', ())):
                self._by_image[annotation['image_id']].append(annotation)

    @classmethod
    def of_detections(cls, dataset: Any) -> CocoPeople | None:
        """The truth of a data set that was filled with detections; None where it has its own."""
        return cls(dataset.ann_file) if getattr(dataset, 'bbox_file', None) else None

    def instances(self, image_id: int) -> InstanceData:
        """People of an image, in image pixels.

        Returns:
            ``keypoints`` (n, K, 2), ``keypoints_visible`` (n, K) as 0 or 1, and ``bboxes`` (n, 4)
            as left, top, right, bottom.
        """
        people = self._by_image.get(image_id, [])
        points = np.stack([_points(person) for person in people]) if people else np.zeros((0, 0, 3))
        boxes = np.array([person['bbox'] for person in people], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return InstanceData(
            keypoints=points[..., :2], keypoints_visible=points[..., 2].clip(0, 1), bboxes=boxes
        )


def _points(person: dict[str, Any]) -> npt.NDArray[np.float32]:
    return np.array(person['keypoints'], np.float32).reshape(-1, 3)
