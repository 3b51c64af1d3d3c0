"""One pretraining serves all: a classifier of ours starts every other task, and any task any other.

Checkpoints are written by MMEngine's runner from the shipped configs, narrowed to the smallest architecture,
and read as ``docs/pretraining.md`` says: ``--cfg-options model.backbone.init_cfg.checkpoint=FILE``.
"""

from __future__ import annotations

import logging
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from peers import in_scope, models_of, scramble
from test_mm import Lines, Pictures, runner_of
from torch import Tensor, nn

from hrnet_mm.config.load import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CHANNELS = [16, 32, 64, 128]
#: Task -> shipped config, and what follows from another width.
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    'classification': (
        'hrnet_w32_imagenet.py',
        {'model.neck.0.in_channels': CHANNELS, 'model.head.num_classes': 5},
    ),
    'pose': ('hrnetv1_w32_coco_256x192.py', {'model.head.in_channels': 16}),
    'segmentation': (
        'hrnetv2_w48_cityscapes.py',
        {
            'model.neck.in_channels': CHANNELS,
            'model.decode_head.in_channels': 240,
            'model.decode_head.channels': 240,
        },
    ),
    'detection': (
        'hrnetv2p_w32_faster_rcnn_coco_1x.py',
        {'model.neck.in_channels': CHANNELS, 'model.roi_head.bbox_head.fc_out_channels': 16},
    ),
}
BILINEAR = pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')


def build(task: str, file: Path | None = None) -> nn.Module:
    """The config's model, its body to be read from a file, or random."""
    name, options = TASKS[task]
    start = {'model.backbone.init_cfg.type': 'Pretrained', 'model.backbone.init_cfg.checkpoint': str(file)}
    if file is None:
        start = {'model.backbone.init_cfg': None, 'model.backbone.norm_eval': False}
    cfg = load_config(CONFIGS / name, options={'model.backbone.arch': 'w18_small_v1', **options, **start})
    with in_scope(cfg.default_scope):
        return models_of(cfg.default_scope).build(cfg.model)


def body(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix('backbone.'): v for key, v in state.items() if key.startswith('backbone.')}


def is_last_fusion(key: str) -> bool:
    return key.startswith('stage4.0.fuse_layers.')  # the architecture has one module in stage 4


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained model's file of every task, as MMEngine's runner saves it."""
    before = DefaultScope._instance_dict.copy()
    files = {}
    for seed, task in enumerate(TASKS):
        folder = tmp_path_factory.mktemp(task)
        save(scramble(build(task), seed), folder / f'{task}.pth')
        files[task] = folder / f'{task}.pth'
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
    return files


def save(model: nn.Module, file: Path) -> None:
    """As MMEngine's CheckpointHook does."""
    runner = runner_of(
        model,
        file.parent,
        train_dataloader=dict(
            batch_size=1, dataset=Pictures(), sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
    )
    assert runner.train_loop.max_iters == 1  # the loop is built when it is asked for
    runner.save_checkpoint(str(file.parent), file.name, save_optimizer=False, save_param_scheduler=False)


@pytest.fixture
def reports():
    """Reports of weights read while a test runs, as MMEngine's log holds them."""
    lines, logger = Lines(), MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    yield lines.reports
    logger.removeHandler(lines)
    logger.setLevel(level)


@pytest.mark.parametrize('task', [task for task in TASKS if task != 'classification'])
@BILINEAR
def test_a_classifier_starts_the_body_of_every_task_and_nothing_else(task, checkpoints, reports, tmp_path):
    file, other = checkpoints['classification'], tmp_path / 'other.pth'
    content = torch.load(file)
    twice = {key: value * 2 for key, value in content['state_dict'].items()}
    torch.save({**content, 'state_dict': twice}, other)
    states = [started(task, start) for start in (file, other)]
    for state, source in zip(states, (content['state_dict'], twice), strict=True):
        assert all(torch.equal(value, body(source)[key]) for key, value in body(state).items())
    # heads and necks come out the same whatever is in the file
    heads = [key for key in states[0] if not key.startswith('backbone.')]
    assert heads and all(torch.equal(states[0][key], states[1][key]) for key in heads)
    # V1 produces the finest stream alone, and has no weights for the others
    left_over = body(twice).keys() - body(states[0]).keys()
    assert bool(left_over) == (task == 'pose') and all(map(is_last_fusion, left_over))
    report, _ = reports()
    tensors = len(body(states[0]))
    assert report.levelno == logging.INFO
    assert f'loaded: {tensors} of {tensors} tensors' in report.getMessage()


def started(task: str, file: Path) -> dict[str, Tensor]:
    """The state of a whole model that was told to start from a file."""
    model: Any = build(task, file)
    torch.manual_seed(0)
    model.init_weights()
    return model.state_dict()


@pytest.mark.parametrize(('source', 'target'), list(permutations(TASKS, 2)))
@BILINEAR
def test_any_task_starts_any_other(source, target, checkpoints, reports):
    model: Any = build(target, checkpoints[source])
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    model.backbone.init_weights()
    trained = body(torch.load(checkpoints[source])['state_dict'])
    state = model.backbone.state_dict()
    missing = state.keys() - trained.keys()
    for key in state.keys() - missing:
        assert torch.equal(state[key], trained[key]), key
    # a pose network's file says nothing about fusion into streams that it does not produce
    assert bool(missing) == (source == 'pose') and all(map(is_last_fusion, missing))
    assert all(torch.equal(state[key], before[key]) for key in missing)
    (report,) = reports()
    assert report.levelno == (logging.WARNING if missing else logging.INFO)
    named = [key for key in missing if not key.endswith('num_batches_tracked')]
    assert (
        f'missing, left as initialised: {len(named)} (stage4.0.fuse_layers.' in report.getMessage()
    ) == bool(missing)


def test_the_file_says_how_it_upsampled(checkpoints):
    """Segmentation upsamples bilinearly, the others do not: fine to start from, and said."""
    model = build('segmentation', checkpoints['classification'])
    with pytest.warns(UserWarning, match="trained with upsample_cfg={'mode': 'nearest'}"):
        model.backbone.init_weights()
