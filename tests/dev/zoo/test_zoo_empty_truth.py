"""Batches with nothing to learn from: every head's losses and gradients stay finite."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope, init_default_scope
from own_configs import CONFIGS, read_config
from shrink import shrink

PATHS = {path.stem: path for path in CONFIGS}
IGNORED = 255

#: One config of every loss, sampler and target assigner.
KINDS = (
    'hrnetv1_w32_coco_256x192',
    'hrnetv1_w32_dark_coco_256x192',
    'hrnetv1_w32_ae_coco_512x512',
    'hrnetv2_w48_cityscapes',  # weighted classes
    'hrnetv2_w48_ade20k',  # hard pixels
    'hrnetv2_w48_ocr_lip',  # mean over labelled pixels
    'hrnetv2_w48_ocr_ade20k',  # both
    'hrnetv2p_w18_faster_rcnn_coco_1x',
    'hrnetv2p_w18_mask_rcnn_coco_1x',
    'hrnetv2p_w18_cascade_mask_rcnn_coco_20e',
    'hrnetv2p_w18_htc_coco_20e',
    'hrnetv2p_w18_fcos_coco_1x',
    'hrnetv2_w18_centernet_coco_140e',
    'hrnetv2p_w32_centernet_update_coco_1x',
)


def without_people(dataset: Any, index: int) -> Any:
    """People of whom nothing is to be seen; bottom-up, in the first image not even such ones.

    mmpose leaves images without people out of training. There are crops without, though.
    """
    info = dataset.get_data_info(index)
    info['keypoints_visible'] = np.zeros_like(info['keypoints_visible'])
    packed = dataset.pipeline(info)
    if dataset.data_mode == 'bottomup' and not index:
        sample = packed['data_samples']
        sample.gt_instance_labels = sample.gt_instance_labels[:0]
    return packed


def without_labels(dataset: Any, index: int) -> Any:
    """Every pixel ignored, as in a crop of a car's bonnet."""
    packed = dataset[index]
    packed['data_samples'].gt_sem_seg.data.fill_(IGNORED)
    return packed


def without_boxes(dataset: Any, index: int) -> Any:
    """Nothing in the image; a map of stuff, where there is one, ignored."""
    info = dataset.get_data_info(index)
    info['instances'] = []
    packed = dataset.pipeline(info)
    if 'gt_sem_seg' in packed['data_samples']:
        packed['data_samples'].gt_sem_seg.sem_seg.fill_(IGNORED)
    return packed


EMPTY: dict[str, Callable[[Any, int], Any]] = {
    'mmpose': without_people,
    'mmseg': without_labels,
    'mmdet': without_boxes,
}


@pytest.fixture(autouse=True)
def at_work(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    random.seed(0)
    np.random.seed(0)


def build(cfg: Config) -> tuple[Any, Any]:
    """The model, in training, and its training data without the wrappers that repeat them."""
    cfg = copy.deepcopy(cfg)
    init_default_scope(cfg.default_scope)
    wanted = cfg.train_dataloader.dataset
    while 'dataset' in wanted:
        wanted = wanted.dataset
    with DefaultScope.overwrite_default_scope(cfg.default_scope), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        dataset = DATASETS.build(wanted)
        model = MODELS.build(cfg.model)
        model.init_weights()
    model.train()
    return model, dataset


def check_step(model: Any, samples: list[Any]) -> None:
    """Losses and gradients are finite, and every parameter has one, for which distributed training waits."""
    model.zero_grad()
    batch = model.data_preprocessor(pseudo_collate(samples), True)
    losses = model(**batch, mode='loss')
    total, parsed = model.parse_losses(losses)
    broken = {name: float(value) for name, value in parsed.items() if 'loss' in name and not value.isfinite()}
    assert not broken
    total.backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is not None and not p.grad.isfinite().all()] == []
    assert [name for name, p in trained.items() if p.grad is None] == []


@pytest.mark.nightly
@pytest.mark.parametrize('stem', KINDS)
def test_a_batch_with_nothing_to_learn_from_gives_finite_gradients(stem: str) -> None:
    cfg = shrink(read_config(PATHS[stem]))
    # plain norms, and two samples each: a batch norm of one value has no variance
    model, dataset = build(cfg)
    empty = EMPTY[cfg.default_scope]
    check_step(model, [empty(dataset, 0), empty(dataset, 1)])
    check_step(model, [empty(dataset, 0), dataset[1]])
