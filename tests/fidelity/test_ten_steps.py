"""Ten optimiser steps of a shipped config's whole model, the peer's HRNet beside ours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData, PixelData
from peers import CODEBASES, assert_close, images, in_scope, models_of
from shipped import configs_of, load, swap
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

STEPS = 10
SIZE = 64
Batch = dict[str, Any]


def random_pictures(rng: np.random.Generator, n: int, size: int = SIZE) -> list[torch.Tensor]:
    return [torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8)) for _ in range(n)]


def pose_batch(rng: np.random.Generator) -> Batch:
    """98 landmarks as random heatmaps at a quarter of the size."""
    from mmpose.structures import PoseDataSample

    samples = []
    for _ in range(2):
        sample = PoseDataSample(metainfo=dict(input_size=(SIZE, SIZE)))
        heatmaps = torch.from_numpy(rng.random((98, SIZE // 4, SIZE // 4), dtype=np.float32))
        sample.gt_fields = PixelData(heatmaps=heatmaps)
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 98))
        samples.append(sample)
    return dict(inputs=random_pictures(rng, 2), data_samples=samples)


def segmentation_batch(rng: np.random.Generator) -> Batch:
    """19 classes, and some pixels to ignore."""
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(2):
        labels = rng.integers(0, 20, (1, SIZE, SIZE))
        labels[labels == 19] = 255
        sample = SegDataSample(metainfo=dict(img_shape=(SIZE, SIZE)))
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels))
        samples.append(sample)
    return dict(inputs=random_pictures(rng, 2), data_samples=samples)


def detection_batch(rng: np.random.Generator) -> Batch:
    """Five boxes of 80 classes in each picture."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes

    size, samples = 2 * SIZE, []
    for _ in range(2):
        corners = rng.integers(0, size // 2, (5, 2))
        boxes = np.concatenate([corners, corners + rng.integers(16, size // 2, (5, 2))], axis=1)
        truth = InstanceData(
            bboxes=HorizontalBoxes(torch.from_numpy(boxes).float()),
            labels=torch.from_numpy(rng.integers(0, 80, 5)),
        )
        shape = dict(img_shape=(size, size), ori_shape=(size, size), scale_factor=(1.0, 1.0))
        samples.append(DetDataSample(metainfo=shape, gt_instances=truth))
    return dict(inputs=random_pictures(rng, 2, size), data_samples=samples)


def classification_batch(rng: np.random.Generator) -> Batch:
    """1000 classes."""
    from mmpretrain.structures import DataSample

    samples = [DataSample().set_gt_label(int(label)) for label in rng.integers(0, 1000, 4)]
    return dict(inputs=random_pictures(rng, 4), data_samples=samples)


@dataclass(frozen=True)
class Recipe:
    """A shipped config, the changes that let it see small pictures, and such pictures."""

    config: str
    batch: Callable[[np.random.Generator], Batch]
    options: Mapping[str, Any] = field(default_factory=dict)


RECIPES = {
    'mmpose': Recipe(
        'face_2d_keypoint/topdown_heatmap/wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py', pose_batch
    ),
    'mmseg': Recipe(
        'hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py',
        segmentation_batch,
        {'model.data_preprocessor.size': (SIZE, SIZE)},
    ),
    'mmdet': Recipe(
        'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
        detection_batch,
        {
            'optim_wrapper.optimizer.lr': 4e-4,  # where the recipe's warm-up stands after ten steps
            'model.train_cfg.rcnn.sampler.num': 32,
        },
    ),
    'mmpretrain': Recipe('hrnet/hrnet-w18_4xb32_in1k.py', classification_batch),
}


def config_of(scope: str) -> Config:
    recipe = RECIPES[scope]
    cfg = load(configs_of(scope) / recipe.config)
    cfg.merge_from_dict(dict(recipe.options))
    return cfg


def build_models(scope: str, cfg: Config) -> tuple[nn.Module, nn.Module]:
    """The package's model and the swapped one, with the same weights and batch norm statistics."""
    swapped = copy.deepcopy(cfg.model)
    swap(swapped)
    with in_scope(scope):
        models = [models_of(scope).build(copy.deepcopy(model)) for model in (cfg.model, swapped)]
        peer, ours = (revert_sync_batchnorm(model) for model in models)
        for name, part in peer.named_children():
            if name != 'backbone' and hasattr(part, 'init_weights'):
                part.init_weights()
    train_statistics(peer.backbone)
    ours.load_state_dict(peer.state_dict(), strict=True)
    return peer, ours


def train_statistics(backbone: nn.Module) -> None:
    """As pretrained weights would bring them: mmdet freezes them, and untrained ones diverge."""
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        backbone(images(4, size=(128, 128), dtype=torch.float32))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def train(scope: str, model: nn.Module, cfg: Config) -> list[dict[str, float]]:
    """Take the steps by the recipe's optimiser; give the losses of each."""
    rng = np.random.default_rng(0)
    with in_scope(scope):
        optimizer = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
        model.train()
        losses = []
        for step in range(STEPS):
            torch.manual_seed(step)  # detectors sample anchors and RoIs
            np.random.seed(step)
            logged = model.train_step(RECIPES[scope].batch(rng), optimizer)
            losses.append({name: value.item() for name, value in logged.items()})
    return losses


@pytest.mark.nightly
@pytest.mark.parametrize('scope', CODEBASES)
def test_ten_steps_stay_together(scope):
    cfg = config_of(scope)
    peer, ours = build_models(scope, cfg)
    assert type(ours.backbone).__name__ == 'HRNetBackbone'
    before = copy.deepcopy(peer.backbone.state_dict())

    truth, found = train(scope, peer, cfg), train(scope, ours, cfg)
    assert np.isfinite([losses['loss'] for losses in truth]).all(), truth
    for step, (a, b) in enumerate(zip(found, truth, strict=True)):
        assert a == pytest.approx(b, rel=1e-4), f'step {step}'
    after = dict(peer.backbone.state_dict())
    assert_close(dict(ours.backbone.state_dict()), after, rel=1e-4)
    still = [k for k, v in after.items() if k.endswith('conv1.weight') and torch.equal(v, before[k])]
    assert still == []  # the weights did move
