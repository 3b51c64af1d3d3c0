"""Every kind of head on every kind of data in the zoo: one training iteration, one evaluation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import pytest
from layouts import cifar10_checksums
from mmengine.config import Config
from own_configs import CONFIGS, read_config
from shrink import shrink

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.paths import check_data, iter_datasets, iter_metrics, type_name
from hrnet_mm.training.run import run_test, run_train
from hrnet_mm.utils import iter_dicts

PATHS = {path.stem: path for path in CONFIGS}

#: One config of every group.
REPRESENTATIVES = (
    'hrnet_w18_imagenet',
    'hrnet_w18_small_v1_cifar10',
    'hrnet_w18_small_v1_folder',
    'hrnetv1_w18_faster_rcnn_coco_1x',
    'hrnetv1_w18_small_v1_own_coco',
    'hrnetv1_w32_ae_coco_512x512',
    'hrnetv1_w32_coco_256x192',
    'hrnetv1_w32_mpii_256x256',
    'hrnetv1_w48_cityscapes',
    'hrnetv2_w18_centernet_coco_140e',
    'hrnetv2_w18_small_v1_own_masks',
    'hrnetv2_w32_pose_scratch_coco_256x192',
    'hrnetv2_w48_ade20k',
    'hrnetv2_w48_cityscapes',
    'hrnetv2_w48_coco_stuff10k',
    'hrnetv2_w48_lip',
    'hrnetv2_w48_ocr_ade20k',
    'hrnetv2_w48_ocr_cityscapes',
    'hrnetv2_w48_ocr_coco_stuff10k',
    'hrnetv2_w48_ocr_lip',
    'hrnetv2_w48_ocr_pascal_context_59',
    'hrnetv2_w48_ocr_pascal_context_60',
    'hrnetv2_w48_pascal_context_59',
    'hrnetv2_w48_pascal_context_60',
    'hrnetv2p_w18_cascade_mask_rcnn_coco_20e',
    'hrnetv2p_w18_cascade_rcnn_coco_20e',
    'hrnetv2p_w18_faster_rcnn_coco_1x',
    'hrnetv2p_w18_fcos_coco_1x',
    'hrnetv2p_w18_htc_coco_20e',
    'hrnetv2p_w18_mask_rcnn_coco_1x',
    'hrnetv2p_w32_centernet_update_coco_1x',
)


#: One of each task, tested in the inference form too.
TESTED_FAST = (
    'hrnet_w18_small_v1_folder',
    'hrnetv1_w18_small_v1_own_coco',
    'hrnetv2_w18_small_v1_own_masks',
    'hrnetv2p_w18_faster_rcnn_coco_1x',
)


#: Parts of a model that differ in width from config to config and not in kind, or that do not compute.
NOT_PARTS = {'backbone', 'data_preprocessor', 'train_cfg', 'test_cfg', 'init_cfg'}
#: Types inside of parts that make another computation of the same head.
PARTS = ('head', 'heads', 'neck', 'decoder', 'sampler', 'roi_extractor')


class Group(NamedTuple):
    """What one run stands for; `streams` is 1 where the config asks for the finest stream alone."""

    model: str
    parts: frozenset[str]
    streams: int
    data: frozenset[str]


def group_of(cfg: Config) -> Group:
    """The group of a config, read off it, so that a new head or data set is a new group."""
    parts = set()
    for path, node in iter_dicts(cfg.model.to_dict()):
        keys = [key for key in path.split('.') if not key.isdigit()]
        if 'type' in node and keys[-1].endswith(PARTS) and not NOT_PARTS & set(keys):
            parts.add(type_name(node['type']))
    stages = ('train', 'val', 'test')
    data = (*iter_datasets(cfg, stages=stages), *iter_metrics(cfg, stages=stages))
    return Group(
        f'{cfg.default_scope}.{type_name(cfg.model.type)}',
        frozenset(parts),
        1 if cfg.model.backbone.get('multiscale_output') is False else 4,
        frozenset(type_name(item['type']) for _, item in data),
    )


@pytest.fixture
def at_work(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in the workplace; CIFAR-10's drawn files pass for its own."""
    from mmpretrain.datasets import CIFAR10

    monkeypatch.chdir(workplace)
    for name, value in cifar10_checksums(workplace / 'data' / 'cifar10').items():
        monkeypatch.setattr(CIFAR10, name, value)


@pytest.mark.nightly
def test_every_config_is_of_a_group_that_runs() -> None:
    run = {group_of(read_config(PATHS[stem])): stem for stem in REPRESENTATIVES}
    assert len(run) == len(REPRESENTATIVES), 'one of each is enough'
    missing: dict[Group, list[str]] = {}
    for stem, path in PATHS.items():
        group = group_of(read_config(path))
        if group not in run:
            missing.setdefault(group, []).append(stem)
    assert not missing, 'add one config of each to REPRESENTATIVES'


@pytest.mark.usefixtures('at_work')
def test_every_config_finds_its_data() -> None:
    for path in CONFIGS:
        for command in ('train', 'test'):
            check_data(read_config(path), command=command)


@pytest.mark.nightly
@pytest.mark.usefixtures('at_work')
@pytest.mark.parametrize('stem', REPRESENTATIVES)
def test_one_config_of_each_group_trains_and_evaluates(stem: str, tmp_path: Path) -> None:
    cfg = shrink(read_config(PATHS[stem]))
    cfg.work_dir = str(tmp_path)
    checkpoint = run_train(cfg)
    saved = load_file(checkpoint)
    losses, _ = saved['message_hub']['log_scalars']['train/loss'].data
    assert len(losses) and all(math.isfinite(loss) for loss in losses)
    metrics = run_test(cfg, checkpoint)
    assert metrics
    if stem in TESTED_FAST:
        assert run_test(cfg, checkpoint, fast=True) == pytest.approx(metrics, rel=1e-2, abs=0.1, nan_ok=True)
    checkpoint.unlink()  # the folder outlives the test
