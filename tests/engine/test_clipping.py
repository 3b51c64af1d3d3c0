"""Boxes and keypoints beyond the image, as the pictures draw them."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.structures import PoseDataSample

from hrnet_mm.engine import PairPainter
from hrnet_mm.engine.clipping import clip_to_image


def test_coordinates_move_onto_the_image_and_the_sample_stays() -> None:
    truth = InstanceData(bboxes=np.array([[-8.0, 3.0, 50.0, 90.0]]), labels=np.array([1]))
    guess = InstanceData(keypoints=torch.tensor([[[5.0, -2.0], [64.0, 47.0]]]))
    sample = BaseDataElement(gt_instances=truth, pred_instances=guess)
    clipped = clip_to_image(sample, height=48, width=64)
    np.testing.assert_array_equal(clipped.gt_instances.bboxes, [[0, 3, 50, 47]])
    np.testing.assert_array_equal(clipped.gt_instances.labels, [1])
    torch.testing.assert_close(clipped.pred_instances.keypoints, torch.tensor([[[5.0, 0.0], [63.0, 47.0]]]))
    np.testing.assert_array_equal(sample.gt_instances.bboxes, [[-8, 3, 50, 90]])


def test_picture_of_a_box_beyond_the_image_is_not_shifted() -> None:
    """Where nothing is drawn the predicted panel is the image itself."""
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    instances = InstanceData(
        bboxes=np.array([[-30.0, 4.0, 10.0, 44.0]], np.float32),
        bbox_scores=np.ones(1, np.float32),
        keypoints=np.full((1, 17, 2), [4.0, 20.0], np.float32),
        keypoint_scores=np.ones((1, 17), np.float32),
        keypoints_visible=np.ones((1, 17), np.float32),
    )
    sample = PoseDataSample()
    sample.pred_instances = instances
    meta = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))
    panel = PairPainter(scope='mmpose', dataset_meta=meta).draw(image, sample)[:, 64:]
    np.testing.assert_allclose(panel[:, 40:].astype(int), image[:, 40:].astype(int), atol=2)
