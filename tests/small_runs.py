"""Trainings of seconds, one for each task, with chance wherever training has it: order, pictures, steps."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import mmengine
import numpy as np
import tiny_projects as tiny
import torch
from forked import report
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from peers import stage

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.load import load_config
from hrnet_mm.training.run import run_train

ROOT = Path(__file__).resolve().parents[1]
# Once in the parent of all trials, instead of once in each.
for _scope in ('mmpose', 'mmseg', 'mmdet'):
    import_module(f'{_scope}.utils').register_all_modules(init_default_scope=False)


@HOOKS.register_module(force=True)
class ReportHook(Hook):
    """Tells the parent of a forked trial about every iteration."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        report()


_STAGES = {
    f'stage{n}': stage(1, 'BASIC' if n > 1 else 'BOTTLENECK', (1,) * n, (4, 8, 16, 32)[:n])
    for n in (1, 2, 3, 4)
}


def _common(*, optimizer: str, checkpoint: str) -> str:
    return f"""
custom_imports = dict(imports=['hrnet_mm'])
backbone = dict(type='HRNetBackbone', arch={_STAGES})
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='{optimizer}', lr=0.01))
default_hooks = dict(
    resume=dict(type='hrnet_mm.ExactResumeHook'),
    checkpoint=dict(type='hrnet_mm.WholeCheckpointHook', {checkpoint}),
    logger=dict(type='LoggerHook', interval=1),
)
custom_hooks = [dict(type='ReportHook')]
log_level = 'WARNING'
randomness = dict(seed=3)
"""


_POSE = (
    _common(optimizer='Adam', checkpoint="interval=1, max_keep_ckpts=2, save_best='coco/AP', rule='greater'")
    + """
default_scope = 'mmpose'
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
model = dict(type='TopdownPoseEstimator', data_preprocessor=dict(type='PoseDataPreprocessor'),
             backbone=backbone,
             head=dict(type='HeatmapHead', in_channels=4, out_channels=17, deconv_out_channels=None,
                       loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
             test_cfg=dict(flip_test=False))
load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
pack = [dict(type='TopdownAffine', input_size=codec['input_size'])]
chance = [dict(type='RandomFlip', direction='horizontal'), dict(type='RandomHalfBody', min_total_keypoints=2),
          dict(type='RandomBBoxTransform'), dict(type='PhotometricDistortion')]
people = dict(type='CocoDataset', data_root='data/', data_mode='topdown', ann_file='people.json',
              data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='RepeatDataset', times=2, dataset=dict(
        **people, pipeline=load + chance + pack + [dict(type='GenerateTarget', encoder=codec),
                                                   dict(type='PackPoseInputs')])))
val_dataloader = dict(batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(**people, test_mode=True,
                                   pipeline=load + pack + [dict(type='PackPoseInputs')]))
val_evaluator = dict(type='CocoMetric', ann_file='data/people.json')
train_cfg = dict(by_epoch=True, max_epochs=7, val_interval=2)
param_scheduler = [dict(type='LinearLR', begin=0, end=10, start_factor=0.1, by_epoch=False),
                   dict(type='MultiStepLR', milestones=[4], by_epoch=True)]
custom_hooks += [dict(type='EMAHook', momentum=0.1)]
"""
)

_SEGMENTATION = (
    _common(optimizer='SGD', checkpoint="by_epoch=False, interval=3, max_keep_ckpts=2, save_best='mIoU'")
    + """
default_scope = 'mmseg'
model = dict(type='EncoderDecoder',
             data_preprocessor=dict(type='SegDataPreProcessor', size=(48, 48), mean=[120] * 3, std=[60] * 3,
                                    test_cfg=dict(size=(64, 96))),
             backbone=backbone, neck=dict(type='HRNetV2Neck', in_channels=[4, 8, 16, 32]),
             decode_head=dict(type='FCNHead', in_channels=60, channels=60, in_index=0, num_convs=0,
                              concat_input=False, dropout_ratio=0.3, num_classes=2, align_corners=False),
             train_cfg=dict(), test_cfg=dict(mode='whole'))
masks = dict(type='BaseSegDataset', data_root='data', img_suffix='.jpg',
             data_prefix=dict(img_path='images', seg_map_path='masks'),
             metainfo=dict(classes=('one', 'two'), palette=[[255, 0, 0], [0, 0, 255]]))
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
chance = [dict(type='RandomResize', scale=(96, 64), ratio_range=(0.8, 1.5), keep_ratio=True),
          dict(type='RandomCrop', crop_size=(48, 48)), dict(type='RandomFlip', prob=0.5),
          dict(type='PhotoMetricDistortion')]
pack = [dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
                        dataset=dict(**masks, pipeline=load + chance + pack))
val_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(**masks, pipeline=load + pack))
val_evaluator = dict(type='IoUMetric')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=30, val_interval=6)
param_scheduler = [dict(type='PolyLR', eta_min=0, power=0.9, begin=0, end=30, by_epoch=False)]
log_processor = dict(by_epoch=False)
"""
)

DETECTOR = ROOT / 'configs' / 'hrnetv2p_w18_faster_rcnn_coco_1x.py'
_DETECTION = f"_base_ = '{DETECTOR}'\n" + (
    _common(optimizer='SGD', checkpoint='interval=1, max_keep_ckpts=2')
    + """
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(_delete_=True, **backbone),
    neck=dict(in_channels=[4, 8, 16, 32], out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=8),
                  bbox_head=dict(in_channels=8, fc_out_channels=16, num_classes=1)),
    train_cfg=dict(rpn=dict(sampler=dict(num=16)), rpn_proposal=dict(nms_pre=50, max_per_img=30),
                   rcnn=dict(sampler=dict(num=16))))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(_delete_=True, type='RepeatDataset', times=2, dataset=dict(
        type='CocoDataset', data_root='data/', ann_file='people.json', data_prefix=dict(img='images/'),
        metainfo=dict(classes=('person',)),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
                  dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
                  dict(type='PackDetInputs')])))
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
train_cfg = dict(max_epochs=7)
param_scheduler = [dict(type='LinearLR', begin=0, end=9, start_factor=0.1, by_epoch=False)]
"""
)

#: task -> config
CONFIGS: Mapping[str, str] = {'pose': _POSE, 'segmentation': _SEGMENTATION, 'detection': _DETECTION}
#: task -> iterations of a whole run
ITERATIONS: Mapping[str, int] = {'pose': 35, 'segmentation': 30, 'detection': 28}


def write_project(place: Path, task: str) -> Path:
    """Data and config of a task, in a folder to stand in; gives the config."""
    data = place / 'data'
    if task == 'segmentation':
        tiny.write_masks(data)
    else:
        tiny.write_coco(data)
    random = np.random.default_rng(0)
    for path in sorted((data / 'images').rglob('*.*')):
        cv2.imwrite(str(path), random.integers(0, 256, (tiny.HEIGHT, tiny.WIDTH, 3), np.uint8))
    config = place / f'{task}.py'
    config.write_text(CONFIGS[task])
    return config


def train(config: Path, work_dir: Path, *, workers: int = 0, resume: Any = True, **options: Any) -> Path:
    """Train from where the work folder stands to the end; gives the last checkpoint. For trials."""
    # Most of such a run would be spent on formatting its config, and on asking compilers for their versions.
    mmengine.config.config.FormatCode = lambda text, **_: (text, True)
    mmengine.runner.runner.collect_env = dict
    loader = {'num_workers': workers, 'persistent_workers': workers > 0}
    all_options = {f'train_dataloader.{key}': value for key, value in loader.items()} | options
    return run_train(load_config(config, work_dir=work_dir, resume=resume, options=all_options))


def training_state(checkpoint: Path) -> dict[str, Any]:
    """All that training goes on from, and the losses it had, by name."""
    content = load_file(checkpoint)
    names = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    losses = {
        name: torch.from_numpy(buffer._log_history)
        for name, buffer in content['message_hub']['log_scalars'].items()
        if 'loss' in name or 'val/' in name or name.endswith('lr')
        if 'time' not in name
    }
    counters = {name: content['meta'][name] for name in ('epoch', 'iter', 'seed')}
    return dict(_leaves({name: content.get(name) for name in names} | losses | counters))


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names under which two training states are not the same, bit for bit."""
    absent = set(one) ^ set(other)
    return sorted(absent | {name for name in set(one) - absent if not _same(one[name], other[name])})


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor):
        return bool(one == other)
    # as bytes: NaN equals itself, and 0.0 does not equal -0.0
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def _leaves(node: Any, name: str = '') -> Any:
    if not isinstance(node, (Mapping, list, tuple)):
        yield name, node
        return
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
        yield from _leaves(value, f'{name}.{key}')
