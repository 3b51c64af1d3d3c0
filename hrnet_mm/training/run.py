"""Training and testing from Python: one call each, whatever the codebase."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from ..checkpoints.whole_files import told_when_full
from ..config.codebases import require_scope
from ..config.errors import ConfigError
from ..config.files import require_checkpoint
from ..config.model_check import check_model
from ..config.paths import STAGES, check_data, type_name
from ..data.check import check_start
from ..data.guard import DataGuardHook
from ..data.images import pixel_limit
from .data_workers import workers_for
from .group import start_group, wrap_for_cpu
from .job_watch import JobWatch
from .metrics import as_floats
from .tensorboard import check_tensorboard
from .together import agreed

#: The sections of a config without which a command cannot run.
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    'train': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'test': ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
}
#: MMEngine's loop -> the length that it does not take, and the one it does.
_OTHER_UNIT: Mapping[str, tuple[str, str]] = {
    'EpochBasedTrainLoop': ('max_iters', 'max_epochs'),
    'IterBasedTrainLoop': ('max_epochs', 'max_iters'),
}
_run_numbers = itertools.count()


def run_train(cfg: Config) -> Path:
    """Train a model.

    Args:
        cfg: A config, from ``load_config``. It is not changed.

    Returns:
        The last checkpoint, in ``cfg.work_dir``.

    Raises:
        ConfigError: before training, if a section, data or ``load_from`` is missing or the annotations
            can't be trained on; after it, if the config's hooks saved no checkpoint.
        CheckpointError: if the disk is full.
        DataError: if samples can't be used, and leaving them out does not help.
        LostProcess: of several processes, another died or hangs, or all were told to stop.
    """
    start_group(cfg)
    with (
        pixel_limit(cfg),
        told_when_full(cfg.work_dir),
        JobWatch(cfg.work_dir, doing='training') as watch,
    ):
        lines = agreed(partial(_check_training, cfg))
        with workers_for(watch.follow(_guarded(_build_runner(cfg), lines))) as runner:
            runner.train()
        barrier()  # the first process has written the last checkpoint
    last = find_latest_checkpoint(cfg.work_dir)
    if last is None:
        raise ConfigError(
            key='default_hooks.checkpoint',
            value=(cfg.get('default_hooks') or {}).get('checkpoint'),
            expected=f'a CheckpointHook that saves to {cfg.work_dir}; training saved nothing there',
        )
    return Path(last)


def run_test(
    cfg: Config, checkpoint: str | Path, *, show_dir: str | Path | None = None, fast: bool = False
) -> dict[str, float]:
    """Evaluate a checkpoint on the test data.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        checkpoint: Path or URL of the weights.
        show_dir: Folder to write a picture of each test image to, truth beside prediction.
        fast: Test the model's inference form (``hrnet_mm.to_inference_form``).

    Returns:
        Metric -> value, named as the evaluator names them.

    Raises:
        ConfigError: before testing, if a section, data or the checkpoint is missing, or the annotations
            can't be tested on.
        DataError: at a sample that can't be used.
        LostProcess: as for ``run_train``.
    """
    start_group(cfg)
    cfg = copy.deepcopy(cfg)
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    hooks: list[dict[str, str]] = []
    if show_dir is not None:
        hooks.append({'type': 'hrnet_mm.PairPicturesHook', 'show_dir': str(show_dir)})
    if fast:
        hooks.append({'type': 'hrnet_mm.InferenceFormHook'})
    if hooks:
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *hooks]
    with pixel_limit(cfg), JobWatch(cfg.work_dir, doing='testing') as watch:
        lines = agreed(partial(_check_testing, cfg, checkpoint))
        with workers_for(watch.follow(_guarded(_build_runner(cfg), lines))) as runner:
            return as_floats(runner.test())


def check_runnable(cfg: Config, *, command: str) -> None:
    """Make sure that a config has what ``'train'`` or ``'test'`` needs.

    Raises:
        ConfigError: if the scope, a section or data is missing.
    """
    require_scope(cfg)
    for key in _SECTIONS[command]:
        if cfg.get(key) is None:
            raise ConfigError(key=key, value=None, expected=f'a section {key!r} to {command} with')
    _check_length(cfg, command=command)
    _check_loaders(cfg, command=command)
    check_data(cfg, command=command)
    check_model(cfg)
    check_tensorboard(cfg)


def _check_training(cfg: Config) -> list[str]:
    check_runnable(cfg, command='train')
    if cfg.get('load_from'):
        require_checkpoint(cfg.load_from, key='load_from')
    return check_start(cfg, stages=STAGES['train'])


def _check_testing(cfg: Config, checkpoint: str | Path) -> list[str]:
    check_runnable(cfg, command='test')
    require_checkpoint(checkpoint, key='checkpoint')
    return check_start(cfg, stages=STAGES['test'])


def _check_length(cfg: Config, *, command: str) -> None:
    if command == 'train':
        _check_unit(cfg.train_cfg)
    for key in ('max_epochs', 'max_iters') if command == 'train' else ():
        value = cfg.train_cfg.get(key)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(key=f'train_cfg.{key}', value=value, expected='a positive whole number')


def _check_unit(train_cfg: Mapping[str, Any]) -> None:
    """A loop that counts iterations takes no epochs; MMEngine says so after weights and logs are made."""
    by_epoch = train_cfg.get('by_epoch', True)
    loop = type_name(train_cfg.get('type', 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'))
    wrong, right = _OTHER_UNIT.get(loop, ('', ''))
    if wrong in train_cfg:
        raise ConfigError(
            key=f'train_cfg.{wrong}', value=train_cfg[wrong], expected=f'{right}, which {loop} counts'
        )


def _check_loaders(cfg: Config, *, command: str) -> None:
    for stage in STAGES[command]:
        loader = cfg.get(f'{stage}_dataloader') or {}
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            value = loader.get(key, least)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    key=f'{stage}_dataloader.{key}', value=value, expected=f'a whole number, {least} or more'
                )


def _build_runner(cfg: Config) -> Runner:
    """A runner under a name of its own.

    MMEngine keeps logger, message hub, visualizer and default scope in global tables by that
    name, which otherwise is unique only to the second: two short runs would share them.
    """
    cfg = copy.deepcopy(cfg)
    wrap_for_cpu(cfg)
    if not cfg.get('experiment_name'):
        stem = Path(cfg.filename or 'config').stem
        cfg.experiment_name = f'{stem}_{os.getpid()}_{next(_run_numbers)}'
    if isinstance(cfg.get('visualizer'), dict):  # the packages' configs call all of theirs 'visualizer'
        cfg.visualizer.name = cfg.experiment_name
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _guarded(runner: Runner, lines: Sequence[str]) -> Runner:
    """The runner with its data sets guarded, where the config does not set ``data_check=False``."""
    if runner.cfg.get('data_check') is not False:
        runner.register_hook(DataGuardHook(lines), priority='VERY_HIGH')
    return runner
