"""What would fail after the first epoch fails before it, and the rehearsal leaves no trace in a run."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import METRICS, MODELS
from mmengine.runner import Runner
from refusal import refuses
from torch import nn

from hrnet_mm.config import load_config
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.training.rehearsal import rehearse_batch, rehearse_metrics, rehearse_prediction


@MODELS.register_module(force=True)
class NormedPixel(BaseModel):
    """Batch norm over one value per image and channel: it cannot learn from a single image."""

    def __init__(self) -> None:
        super().__init__(data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'))
        self.norm = nn.BatchNorm2d(3)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        pooled = torch.stack([image.float().mean((1, 2), keepdim=True) for image in inputs])
        return {'loss': self.norm(pooled).mean()}


@pytest.fixture
def built(project: Callable[[str], Path]) -> Callable[..., Runner]:
    """A scope's runner with its loops built, as before its first hook."""

    def build(scope: str, change: Callable[[Config], object] = lambda cfg: None) -> Runner:
        cfg = load_config(project(scope))
        change(cfg)
        runner = Runner.from_cfg({**copy.deepcopy(cfg), 'experiment_name': f'{scope}_{random.random()}'})
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner._val_loop = runner.build_val_loop(runner._val_loop)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        return runner

    return build


@pytest.mark.parametrize('scope', CODEBASES)
def test_the_truth_is_perfect(scope: str, built: Callable[..., Runner]) -> None:
    """In all four codebases; and a batch is learned without a word."""
    runner = built(scope)
    assert rehearse_metrics(runner, stage='val') == []
    rehearse_batch(runner)
    rehearse_prediction(runner)


@pytest.mark.parametrize(
    ('scope', 'meta_keys', 'missed'),
    [
        ('mmdet', ('img_path', 'ori_shape'), "KeyError: 'img_id'"),
        ('mmpose', ('img_path', 'img_shape'), 'KeyError'),
    ],
)
def test_keys_that_are_not_packed(
    scope: str, meta_keys: tuple[str, ...], missed: str, built: Callable[..., Runner]
) -> None:
    def change(cfg: Config) -> None:
        cfg.val_dataloader.dataset.pipeline[-1].meta_keys = meta_keys

    runner = built(scope, change)
    refuses(lambda: rehearse_prediction(runner), 'val_dataloader.dataset.pipeline', 'meta_keys', missed)


def test_scores_that_are_not_perfect_are_told(built: Callable[..., Runner], tmp_path: Path) -> None:
    """Annotation ids from 0: pycocotools counts one match as false."""
    runner = built('mmdet')
    people = tmp_path / 'data/people.json'
    people.write_text(people.read_text().replace('"id": 1, "image_id"', '"id": 0, "image_id"'))
    (line,) = rehearse_metrics(runner, stage='val')
    assert line.startswith(
        f'val_evaluator: predictions equal to the truth of {people} score coco/bbox_mAP 0.'
    )


@pytest.mark.parametrize(
    ('key', 'section'),
    [
        (
            'default_hooks.checkpoint.save_best',
            dict(default_hooks=dict(checkpoint=dict(save_best='coco/mAP'))),
        ),
        ('custom_hooks.0.monitor', dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='mAP')])),
    ],
)
def test_a_score_is_waited_for_by_its_name(
    key: str, section: dict[str, Any], built: Callable[..., Runner]
) -> None:
    runner = built('mmdet')
    runner.cfg.merge_from_dict(section)
    refuses(lambda: rehearse_metrics(runner, stage='val'), key, 'a value of the evaluator: coco/bbox_mAP, ')


def no_crowds(cfg: Config) -> None:
    file = Path(cfg.val_evaluator.ann_file)
    file.write_text(file.read_text().replace('"iscrowd"', '"crowd"'))


@pytest.mark.parametrize(
    ('scope', 'change', 'missed'),
    [
        ('mmdet', no_crowds, "KeyError: 'iscrowd'"),
        ('mmpretrain', lambda cfg: cfg.val_evaluator.update(topk=(1, 5)), 'Accuracy'),
    ],
)
def test_a_metric_that_fails_is_named(
    scope: str, change: Callable[[Config], None], missed: str, built: Callable[..., Runner]
) -> None:
    runner = built(scope, change)
    refuses(lambda: rehearse_metrics(runner, stage='val'), 'val_evaluator', missed)


def test_masks_are_not_evaluated_of_a_model_without_them(built: Callable[..., Runner]) -> None:
    runner = built('mmdet', lambda cfg: cfg.val_evaluator.update(metric='segm'))
    refuses(lambda: rehearse_prediction(runner), "val_evaluator.metric = ['segm']", 'a model with masks')


def test_a_wrapper_that_mixes_what_is_packed_already(built: Callable[..., Runner]) -> None:
    def change(cfg: Config) -> None:
        mosaic = dict(type='Mosaic', img_scale=(96, 96))
        part = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dict(type='MultiImageMixDataset', dataset=part, pipeline=[mosaic])

    expected = "train_dataloader.dataset = 'MultiImageMixDataset'", 'samples to learn (KeyError'
    refuses(lambda: rehearse_batch(built('mmdet', change)), *expected)


def test_metrics_of_the_users_own_are_left_alone(built: Callable[..., Runner]) -> None:
    def own(cfg: Config) -> None:
        cfg.val_evaluator = dict(type='OwnMetric')
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', save_best='mine', rule='greater')

    METRICS.register_module(name='OwnMetric', module=METRICS.get('mmpretrain.Accuracy'), force=True)
    assert rehearse_metrics(built('mmpretrain', own), stage='val') == []


@pytest.mark.parametrize(
    ('loader', 'refusal'),
    [
        (dict(batch_size=4), ''),
        (dict(batch_size=3), 'batch_size = 3: expected a size that leaves no single image: 4 images make'),
        (dict(batch_size=8), ''),
        (dict(batch_size=8, drop_last=True), 'drop_last = True: expected False: 4 images make no batch of 8'),
        # drawn for ever, one image makes batches
        (dict(batch_size=8, sampler=dict(type='InfiniteSampler'), dataset=dict(indices=1)), ''),
    ],
    ids=str,
)
def test_batches_that_norms_cannot_learn_from(
    loader: dict[str, Any], refusal: str, built: Callable[..., Runner]
) -> None:
    def change(cfg: Config) -> None:
        cfg.model = dict(type='NormedPixel')
        cfg.merge_from_dict({'train_dataloader': loader})

    runner = built('mmpretrain', change)
    if refusal:
        refuses(lambda: rehearse_batch(runner), f'train_dataloader.{refusal}')
    else:
        rehearse_batch(runner)


def test_nothing_is_left_behind(built: Callable[..., Runner]) -> None:
    """Random states, weights, norm statistics and counters are those from before."""
    runner = built('mmpretrain')
    before = copy.deepcopy(runner.model.state_dict())
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    rehearse_metrics(runner, stage='val')
    rehearse_batch(runner)
    rehearse_prediction(runner)
    assert runner._val_loop.evaluator.metrics[0].results == []
    drawn = random.random(), np.random.rand(), torch.rand(()).item()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    assert drawn == (random.random(), np.random.rand(), torch.rand(()).item())
    assert all(torch.equal(value, before[name]) for name, value in runner.model.state_dict().items())
