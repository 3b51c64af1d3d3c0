"""Shapes that reach beyond the image do not shift or shrink its picture."""

from __future__ import annotations

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from hrnet_mm.pictures.pairs import PairPainter

pytestmark = pytest.mark.usefixtures('own_folder')


def test_person_beyond_the_edges_leaves_the_rest_of_the_image_in_place() -> None:
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    sample = PoseDataSample()
    sample.pred_instances = InstanceData(
        bboxes=np.array([[-30.0, -20.0, 10.0, 70.0]], np.float32),
        bbox_scores=np.ones(1, np.float32),
        keypoints=np.full((1, 17, 2), [0.0, 47.0], np.float32),
        keypoint_scores=np.ones((1, 17), np.float32),
        keypoints_visible=np.ones((1, 17), np.float32),
    )
    sample.gt_instances = sample.pred_instances
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    picture = PairPainter(scope='mmpose', dataset_meta=meta).draw(image, sample)
    for panel in (picture[:, :64], picture[:, 64:]):
        np.testing.assert_allclose(panel[:, 40:].astype(int), image[:, 40:].astype(int), atol=2)
