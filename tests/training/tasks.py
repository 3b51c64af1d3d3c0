"""One small network for each task whose training is the same on one process and on two, in exact arithmetic.

Two processes train on the gradients of the mean of their two losses. That is the loss of the double batch
where

- no sample's output depends on the other samples of its batch: norms are frozen (backbone) or group norms
  (neck, head), since batch norms can't be synchronised without GPUs;
- a loss is a mean over a number of things that is the same for each sample (the heatmaps' and the label maps'
  pixels, ignored ones included), or is divided by a count that was averaged over the processes (FCOS, whose
  positive points differ from image to image). Faster R-CNN does neither: it divides by its own process's
  count, on GPUs as well, and its sampled proposals are chance;
- nothing is drawn by chance but the order of the data, which the samplers draw alike on all processes and
  deal out in turn: batches of two on two processes hold the images of one batch of four.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jobs import TESTS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from small_runs import CONFIGS, write_project

from hrnet_mm.config.load import load_config

sys.path.insert(0, str(TESTS))

import tiny_projects as tiny

STEPS = 20
_FCOS = TESTS.parent / 'configs' / 'hrnetv2p_w18_fcos_coco_1x.py'
_CHANCE = ('Random', 'Photo')
_GROUP_NORM = dict(type='GN', num_groups=4)

#: What `Keep` kept last in this process.
KEPT: dict[str, dict[str, torch.Tensor]] = {}


@HOOKS.register_module(force=True)
class Keep(Hook):
    """Keeps the weights before the first step and after the last, and puts all into float64."""

    def before_train(self, runner: Any) -> None:
        self._model = getattr(runner.model, 'module', runner.model)
        KEPT['start'] = self._weights()
        for part in self._model.modules():
            if part is self._model.backbone or type(part).__name__.endswith('Loss'):
                part.register_forward_pre_hook(_doubled)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        for sample in data_batch['data_samples']:
            boxes = sample.get('gt_instances', {}).get('bboxes')
            if hasattr(boxes, 'tensor'):  # a detector's targets are made of them
                boxes.tensor = boxes.tensor.double()

    def after_train(self, runner: Any) -> None:
        KEPT['end'] = self._weights()

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._model.named_parameters()}


def _doubled(part: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Images and targets, which the packages make in float32."""
    return tuple(
        one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in args
    )


@MODELS.register_module(force=True)
class Uneven(tiny.TruthTeller):
    """Predicts the truth, except for the first image of each data set: once more, and metrics change."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        outputs = super().forward(inputs, data_samples, mode)
        for sample in data_samples if mode == 'predict' else ():
            first = 'images/b.jpg' if 'pred_sem_seg' in sample else 'images/north/a.jpg'
            if sample.img_path.endswith(first):
                self._spoil(sample)
        return outputs

    def _spoil(self, sample: Any) -> None:
        if 'pred_sem_seg' in sample:
            sample.pred_sem_seg.data.zero_()
            return
        found = sample.pred_instances
        found.bboxes = found.bboxes + 8
        if 'keypoints' in found:
            found.keypoints = found.keypoints + 2


def write_tasks(place: Path) -> None:
    """Data and configs of all tasks, a folder each."""
    for task in CONFIGS:
        (place / task).mkdir()
        write_project(place / task, task)


def training(task: str, *, launcher: str, batch_size: int) -> Config:
    """The config of ``STEPS`` steps in float64; stand in the task's folder.

    In float32 sums over the batch, taken in another order, differ by 1e-7; among a million activations some
    then fall on the other side of a ReLU's zero, and after ten steps weights differ by 1e-3.
    """
    torch.set_default_dtype(torch.float64)  # of weights; images are turned by `Keep`
    cfg = load_config(f'{task}.py', work_dir=f'{launcher}_{batch_size}', launcher=launcher)
    _TASKS[task](cfg)
    cfg.model.backbone.norm_eval = True
    loader = cfg.train_dataloader
    loader.batch_size = batch_size
    loader.sampler = dict(type='InfiniteSampler', shuffle=True)
    loader.pop('batch_sampler', None)
    loader.dataset = loader.dataset.get('dataset', loader.dataset)
    loader.dataset.pipeline = [one for one in loader.dataset.pipeline if not one.type.startswith(_CHANCE)]
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=STEPS, val_interval=10 * STEPS)
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
    cfg.param_scheduler = None
    cfg.default_hooks = dict(
        checkpoint=dict(type='hrnet_mm.WholeCheckpointHook', by_epoch=False, interval=STEPS)
    )
    cfg.custom_hooks = [dict(type='Keep')]
    cfg.data_check = False  # a batch tried before `Keep` is there would be of float32
    return cfg


def odd_test(task: str, *, launcher: str) -> Config:
    """The config of a test on an odd number of samples: five people, or three images."""
    torch.set_default_dtype(torch.float32)
    cfg = load_config(f'{task}.py', work_dir=f'{launcher}_test', launcher=launcher)
    _, config_text = tiny.WRITERS[cfg.default_scope]
    small = Config.fromstring(config_text(Path('data').absolute()), '.py')
    small.pop('custom_imports')
    small.model.type = 'Uneven'
    if task == 'pose':
        small.model.shift = 0
    if task == 'detection':
        small.test_dataloader.dataset.indices = 3
    cfg = Config(small.to_dict(), filename=cfg.filename)
    cfg.work_dir = f'{launcher}_test'
    cfg.launcher = launcher
    return cfg


def _pose(cfg: Config) -> None:
    # mmpose's initial weights of 0.001 would leave gradients of 1e-11
    cfg.model.backbone.init_cfg = dict(type='Kaiming', layer='Conv2d')
    cfg.model.data_preprocessor.update(mean=[120] * 3, std=[60] * 3)


def _segmentation(cfg: Config) -> None:
    cfg.model.backbone.norm_cfg = dict(type='SyncBN', requires_grad=True)
    cfg.model.neck.norm_cfg = dict(_GROUP_NORM)
    cfg.model.decode_head.dropout_ratio = 0
    cfg.model.data_preprocessor.size = (tiny.HEIGHT, tiny.WIDTH)


def _detection(cfg: Config) -> None:
    head = load_config(_FCOS).model
    cfg.model.type = 'FCOS'
    cfg.model.neck = dict(head.neck, in_channels=[4, 8, 16, 32], out_channels=16)
    cfg.model.bbox_head = dict(
        head.bbox_head, num_classes=1, in_channels=16, feat_channels=16, stacked_convs=1, norm_cfg=_GROUP_NORM
    )
    cfg.model.update(train_cfg=None, test_cfg=head.test_cfg)
    for part in ('rpn_head', 'roi_head'):
        cfg.model.pop(part)


_TASKS: Mapping[str, Callable[[Config], None]] = {
    'pose': _pose,
    'segmentation': _segmentation,
    'detection': _detection,
}
