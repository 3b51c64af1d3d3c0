"""Ten optimiser steps of a shipped config's whole model, the peer's HRNet beside ours."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from peers import CODEBASES, assert_close, images, in_scope, models_of
from shipped import configs_of, load, swap
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hrnet_mm.swap.inputs import random_inputs

STEPS = 10

#: Scope -> a shipped config, and the changes that let it see small images.
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    'mmpose': ('face_2d_keypoint/topdown_heatmap/wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py', {}),
    'mmseg': ('hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py', {}),
    'mmdet': (
        'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
        {
            'optim_wrapper.optimizer.lr': 4e-4,  # where the recipe's warm-up stands after ten steps
            'model.train_cfg.rcnn.sampler.num': 32,
        },
    ),
    'mmpretrain': ('hrnet/hrnet-w18_4xb32_in1k.py', {}),
}
SIZES = {'mmpose': (256, 256), 'mmseg': (64, 64), 'mmdet': (128, 128), 'mmpretrain': (64, 64)}


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
    rng, inputs = np.random.default_rng(0), random_inputs(cfg)
    with in_scope(scope):
        optimizer = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
        model.train()
        losses = []
        for step in range(STEPS):
            torch.manual_seed(step)  # detectors sample anchors and RoIs
            np.random.seed(step)
            batch = inputs.batch(SIZES[scope], rng=rng, count=2, training=True)
            logged = model.train_step(batch, optimizer)
            losses.append({name: value.item() for name, value in logged.items()})
    return losses


@pytest.mark.nightly
@pytest.mark.parametrize('scope', CODEBASES)
def test_ten_steps_stay_together(scope):
    config, options = RECIPES[scope]
    cfg = load(configs_of(scope) / config)
    cfg.merge_from_dict(options)
    random_inputs(cfg).prepare(SIZES[scope])
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
