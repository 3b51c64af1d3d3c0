"""Training with mmpose's associative embedding: what its head is given, and the losses it makes of that."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import TRANSFORMS
from peers import in_scope, models_of
from pycocotools import mask as coco_mask

from hrnet_mm.data.bottom_up import MaskUnannotatedPeople, ValidRegionMSELoss

SIDE, KEYPOINTS = 8, 3
CODEC = dict(type='AssociativeEmbedding', input_size=(32, 32), heatmap_size=(SIDE, SIDE), sigma=1)


def people(number: int, seed: int) -> dict[str, Any]:
    """A blank image of 32x32 with people whose keypoints lie on the heatmap's grid, some of them unseen."""
    rng = np.random.default_rng(seed)
    visible = rng.integers(0, 2, (number, KEYPOINTS)).astype(np.float32)
    visible[:, 0] = 1
    return dict(
        img=np.zeros((32, 32, 3), np.uint8),
        img_shape=(32, 32),
        input_size=(32, 32),
        keypoints=4.0 * rng.integers(1, SIDE - 1, (number, KEYPOINTS, 2)).astype(np.float32),
        keypoints_visible=visible,
        # nobody annotated the left half
        invalid_segs=[[[0, 0, 16, 0, 16, 32, 0, 32]]],
    )


def packed(results: dict[str, Any]) -> Any:
    steps = [
        dict(type='GenerateTarget', encoder=CODEC),
        dict(type='MaskUnannotatedPeople'),
        dict(type='KeepKeypointIndices'),
        dict(type='PackPoseInputs'),
    ]
    with in_scope('mmpose'), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the mask gets a dimension, and mmengine says so
        import mmpose.datasets  # noqa: F401  registers the transforms

        for step in steps:
            results = TRANSFORMS.build(step)(results)
    return results['data_samples']


def head() -> Any:
    settings = dict(
        type='AssociativeEmbeddingHead',
        in_channels=4,
        num_keypoints=KEYPOINTS,
        deconv_out_channels=None,
        keypoint_loss=dict(type='ValidRegionMSELoss'),
        tag_loss=dict(type='AssociativeEmbeddingLoss'),
        decoder=CODEC,
    )
    with in_scope('mmpose'):
        return models_of('mmpose').build(settings)


def test_the_head_learns_from_images_with_any_number_of_people():
    truths = [people(3, seed=0), people(1, seed=1)]
    samples = [packed(dict(truth)) for truth in truths]
    model = head()
    features = (torch.randn(2, 4, SIDE, SIDE),)
    losses = model.loss(features, samples, train_cfg=ConfigDict())

    heatmaps, tags = (x.detach().numpy() for x in model(features))
    targets = np.stack([sample.gt_fields.heatmaps.numpy() for sample in samples])
    error = (heatmaps - targets) ** 2
    error[..., : SIDE // 2] = 0
    assert losses['loss_kpt'].item() == pytest.approx(error.mean(), rel=1e-5)

    pull = sum(_pull(tags[i], truth) for i, truth in enumerate(truths))
    assert losses['loss_pull'].item() == pytest.approx(pull, rel=1e-4)
    sum(losses.values()).backward()
    assert model.final_layer.weight.grad.abs().sum() > 0


def _pull(tags: np.ndarray, truth: dict[str, Any]) -> float:
    """How far people's tags lie from their own mean (arXiv 1611.05424, equation 2)."""
    spreads = []
    for points, visible in zip(truth['keypoints'], truth['keypoints_visible'], strict=True):
        own = [tags[k, int(y / 4), int(x / 4)] for k, (x, y) in enumerate(points) if visible[k]]
        spreads.append(np.var(own))
    return float(np.mean(spreads))


def test_people_without_keypoints_do_not_count():
    output, target = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    mask = torch.tensor([[[[True, False], [False, False]]]])
    assert ValidRegionMSELoss()(output, target, None, mask).item() == 0.25


POLYGON = [[4, 8, 12, 8, 12, 24, 4, 24]]  # x from 4 to 12, y from 8 to 24
CROWD = dict(size=[32, 32], counts=[20 * 32, 12 * 32])  # column by column: x from 20 on
COMPRESSED = coco_mask.frPyObjects(CROWD, 32, 32)


@pytest.mark.parametrize(('flip', 'crowd'), [(False, CROWD), (True, CROWD), (False, COMPRESSED)])
def test_people_and_crowds_without_keypoints_are_masked(flip, crowd):
    half_size = np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32)  # the image then fills a quarter
    made = MaskUnannotatedPeople()(
        dict(
            img_shape=(32, 32),
            input_size=(32, 32),
            warp_mat=half_size,
            invalid_segs=[POLYGON, crowd],
            heatmaps=np.zeros((KEYPOINTS, 16, 16), np.float32),
            flip=flip,
            flip_direction='horizontal',
        )
    )
    # a pixel of the heatmap is four of the image: person, crowd, and what lies beyond the image's edge
    valid = np.zeros((16, 16), bool)
    valid[:8, :5] = True
    valid[2:6, 1:3] = False
    assert np.array_equal(made['heatmap_mask'], valid[:, ::-1] if flip else valid)
