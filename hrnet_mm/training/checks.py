"""What must be right before a run starts: sections, lengths, loaders, paths, the model, the data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from mmengine.config import Config
from mmengine.model import BaseTTAModel
from torch import nn

from ..config.build import load_complete, read_weights
from ..config.codebases import require_scope
from ..config.errors import ConfigError
from ..config.files import require_checkpoint
from ..config.joint import of_task, task_configs
from ..config.model_check import check_model
from ..config.paths import STAGES, check_data, type_name
from ..data.check import check_start

#: The sections of a config without which a command cannot run.
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    'train': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'test': ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
}
#: MMEngine's loop -> the length that it does not take, and the one it does.
_OTHER_UNIT: Final[Mapping[str, tuple[str, str]]] = {
    'EpochBasedTrainLoop': ('max_iters', 'max_epochs'),
    'IterBasedTrainLoop': ('max_epochs', 'max_iters'),
}


def check_run(cfg: Config, *, command: str) -> list[str]:
    """Make sure that a config can be run on its data.

    Args:
        cfg: A config; it is not changed.
        command: ``'train'`` or ``'test'``.

    Returns:
        One line for each kind of fault in the data that the run handles.

    Raises:
        ConfigError: as ``check_runnable``, the annotations can't be used, or a checkpoint to test lacks some
            of the model's weights.
        CheckpointError: that checkpoint is unreadable or of another network.
    """
    models = check_runnable(cfg, command=command)
    model = models['']
    if cfg.get('load_from') and command == 'train':
        require_checkpoint(cfg.load_from, key='load_from')
    elif cfg.get('load_from'):
        tested = model.module if isinstance(model, BaseTTAModel) else model
        with warnings.catch_warnings():
            # the test gives them again; no number is copied to the meta device
            warnings.simplefilter('ignore')
            load_complete(tested, read_weights(cfg.load_from, key='checkpoint'), key='checkpoint')
    lines: list[str] = []
    for task, view in task_configs(cfg).items():
        with of_task(task):
            found = check_start(view, models[task], stages=STAGES[command])
        lines += [f'task {task}: {line}' if task else line for line in found]
    return lines


def check_runnable(cfg: Config, *, command: str) -> dict[str, nn.Module]:
    """Make sure that a config has what ``'train'`` or ``'test'`` needs.

    Returns:
        The model, from ``check_model``, under ``''``; of several tasks, the model of each too, by its name.

    Raises:
        ConfigError: if the scope, a section or data is missing, a length is none or in the wrong unit, the
            model can't be built or its parts don't fit, or TensorBoard is asked for and not installed.
    """
    require_scope(cfg)
    for key in _SECTIONS[command]:
        if cfg.get(key) is None:
            raise ConfigError(key=key, value=None, expected=f'a section {key!r} to {command} with')
    if command == 'train':
        _check_length(cfg.train_cfg)
    models = {}
    for task, view in task_configs(cfg).items():
        with of_task(task):
            for key, value, least in _loader_numbers(view, command):
                if not isinstance(value, int) or value < least:
                    raise ConfigError(key=key, value=value, expected=f'a whole number, {least} or more')
            check_data(view, command=command)
            models[task] = check_model(view)
    if '' not in models:
        models[''] = check_model(cfg)
    for backend in (cfg.get('visualizer') or {}).get('vis_backends') or ():
        if 'Tensorboard' not in type_name(backend['type']):
            continue
        try:
            import_module('torch.utils.tensorboard')
        except ImportError as error:  # MMEngine would find out at its first writing
            raise ConfigError(
                key='visualizer.vis_backends',
                value=type_name(backend['type']),
                expected='an installed tensorboard: pip install tensorboard',
            ) from error
    return models


def _check_length(train_cfg: Mapping[str, Any]) -> None:
    """A loop that counts iterations takes no epochs; MMEngine says so after weights and logs are made."""
    by_epoch = train_cfg.get('by_epoch', True)
    loop = type_name(train_cfg.get('type', 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'))
    wrong, right = _OTHER_UNIT.get(loop, ('', ''))
    if wrong in train_cfg:
        expected = f'{right}, which {loop} counts'
        raise ConfigError(key=f'train_cfg.{wrong}', value=train_cfg[wrong], expected=expected)
    for key in ('max_epochs', 'max_iters'):
        value = train_cfg.get(key)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(key=f'train_cfg.{key}', value=value, expected='a positive whole number')


def _loader_numbers(cfg: Config, command: str) -> Iterator[tuple[str, Any, int]]:
    """Key, value and least value of what a data loader counts."""
    for stage in STAGES[command]:
        loader = cfg.get(f'{stage}_dataloader') or {}
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            yield f'{stage}_dataloader.{key}', loader.get(key, least), least
