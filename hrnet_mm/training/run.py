"""Training and testing from Python: one call each, whatever the codebase."""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint

from ..config.errors import ConfigError, one_line, refused
from ..config.joint import require_one_task, task_configs
from ..config.paths import STAGES, type_name
from ..data.images import pixel_limit
from ..utils import text_table
from .checks import check_run
from .guards import RunGuardHook, RunWatch
from .per_class import set_per_class, without_classes
from .processes import agreed, start_group, wrap_for_cpu

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
        LostProcess: of several processes, another died or hangs.
        Interrupted: on Ctrl-C and SIGTERM; a ``KeyboardInterrupt``.
    """
    start_group(cfg)
    _run(cfg, command='train')
    last = find_latest_checkpoint(cfg.work_dir)
    if last is None:
        raise ConfigError(
            key='default_hooks.checkpoint',
            value=(cfg.get('default_hooks') or {}).get('checkpoint'),
            expected=f'a CheckpointHook that saves to {cfg.work_dir}; training saved nothing there',
        )
    return Path(last)


def run_test(
    cfg: Config,
    checkpoint: str | Path,
    *,
    show_dir: str | Path | None = None,
    per_class: str | Path | None = None,
    fast: bool = False,
    dtype: str = 'float32',
) -> dict[str, float]:
    """Evaluate a checkpoint on the test data.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        checkpoint: Path or URL of the weights.
        show_dir: Folder to write a picture of each test image to, truth beside prediction; of several tasks,
            a folder each in it.
        per_class: Folder to write tables of each class or keypoint to, see ``PerClassHook``.
        fast: Test the model's inference form (``hrnet_mm.to_inference_form``).
        dtype: What backbone and neck of that form compute in: ``float32``, ``bfloat16`` or ``float16``.

    Returns:
        Metric -> value, named as the evaluator names them.

    Raises:
        ConfigError: before testing, if a section, data or the checkpoint is missing, or the annotations
            can't be tested on.
        DataError: at a sample that can't be used.
        LostProcess, Interrupted: as for ``run_train``.
    """
    start_group(cfg)
    cfg = copy.deepcopy(cfg)
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    hooks = [*(cfg.get('custom_hooks') or [])]
    if show_dir is not None:
        for task in task_configs(cfg):
            draw = {'type': 'hrnet_mm.PairPicturesHook', 'show_dir': str(Path(show_dir, task))}
            hooks.append({'type': 'hrnet_mm.TaskTestHook', 'task': task, 'hook': draw} if task else draw)
    if fast:
        hooks.append({'type': 'hrnet_mm.InferenceFormHook', 'dtype': dtype})
    cfg.custom_hooks = hooks
    if per_class is not None:
        require_one_task(cfg, key='--per-class')
        set_per_class(cfg, per_class)
    return without_classes(as_floats(_run(cfg, command='test')))


def as_floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Evaluator results as plain floats, under the evaluator's names.

    Lists and tensors (one value per class) become ``name[0]``, ``name[1]``, ...; text is dropped.
    """
    flat: dict[str, float] = {}
    for name, entry in metrics.items():
        value = entry.tolist() if hasattr(entry, 'tolist') else entry  # numpy and torch, scalars and arrays
        if isinstance(value, (list, tuple)):
            flat |= as_floats({f'{name}[{index}]': item for index, item in enumerate(value)})
        elif isinstance(value, (int, float)):
            flat[name] = float(value)
    return flat


def metrics_table(metrics: Mapping[str, float]) -> str:
    """Two aligned columns, metric and value, under a heading."""
    rows = [('metric', 'value'), *((name, f'{value:.4f}') for name, value in metrics.items())]
    rules = [tuple('-' * max(map(len, column)) for column in zip(*rows, strict=True))]
    return text_table([*rows[:1], *rules, *rows[1:]])


def write_metrics(path: str | Path, metrics: Mapping[str, float], *, config: str, checkpoint: str) -> None:
    """Write ``{"config": ..., "checkpoint": ..., "metrics": {name: value}}``.

    A metric that is not a number (the IoU of a class that never occurs) is written as null, since
    JSON has no NaN.
    """
    values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    record = {'config': config, 'checkpoint': checkpoint, 'metrics': values}
    Path(path).write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')


def _run(cfg: Config, *, command: str) -> Any:
    """Run ``'train'`` or ``'test'`` under guard, once all processes agree that it can run; gives its result.

    Data workers end with it. Left to the garbage collector, which takes a loader's queues before its
    iterator, they never hear of the end: torch waits for each for five seconds, in the middle of whatever the
    process does by then.
    """
    with pixel_limit(cfg), RunWatch(cfg.work_dir, doing=f'{command}ing') as watch:
        lines = agreed(partial(check_run, cfg, command=command))
        runner = _build_runner(cfg)
        _build_loops(runner, command=command)
        RunGuardHook.hand_over(runner, watch, lines)
        try:
            result = getattr(runner, command)()
            barrier()  # the first process has written the last checkpoint
            return result
        finally:
            for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
                if isinstance(loop, BaseLoop):
                    for loader in getattr(loop.dataloader, 'loaders', {'': loop.dataloader}).values():
                        loader._iterator = None  # where workers persist from epoch to epoch
                if hasattr(loop, 'dataloader_iterator'):
                    loop.dataloader_iterator = None  # of loops that count iterations


def _build_loops(runner: Runner, *, command: str) -> None:
    """Build a runner's loops, as it does itself later: what evaluators and data sets refuse is one line."""

    def explain(error: Exception) -> str:
        lists_nothing = 'at least one array' in str(error)  # so MMEngine fails at an empty list
        return 'it lists no sample' if lists_nothing else one_line(error)

    for stage in STAGES[command]:
        loop = getattr(runner, f'_{stage}_loop')
        if loop is None:
            continue
        evaluator = getattr(runner, f'_{stage}_evaluator', None)
        if isinstance(evaluator, list) or 'type' in (evaluator or ()):  # not of several tasks
            with refused(f'{stage}_evaluator', evaluator, expected='metrics that can be built'):
                setattr(runner, f'_{stage}_evaluator', runner.build_evaluator(evaluator))
        key = f'{stage}_dataloader.dataset'
        kind = type_name((getattr(runner, f'_{stage}_dataloader').get('dataset') or {}).get('type'))
        with refused(key, kind, expected='a data set that can be built', explain=explain):
            setattr(runner, f'_{stage}_loop', getattr(runner, f'build_{stage}_loop')(loop))


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
