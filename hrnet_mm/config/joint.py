"""Configs of several tasks on one backbone (``hrnet_mm.MultiTaskModel``), and each task's own view of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from mmengine.config import Config

from .codebases import task_scopes
from .errors import ConfigError

#: Sections that hold a section of each task.
TASK_SECTIONS: Final = tuple(
    f'{stage}_{part}' for stage in ('train', 'val', 'test') for part in ('dataloader', 'evaluator')
)
#: What arguments left out of a joint model's backbone mean: nobody's scope decides.
_BACKBONE: Final = {'multiscale_output': True, 'upsample_cfg': {'mode': 'nearest'}, 'norm_eval': False}


def task_configs(cfg: Config) -> dict[str, Config]:
    """Task -> the config of its model alone; of a single model, that config under ``''``."""
    scopes = task_scopes(cfg)
    return {name: task_config(cfg, name) for name in scopes} if scopes else {'': cfg}


def task_config(cfg: Config, name: str) -> Config:
    """A task's model on the whole backbone, with its data, evaluators and scope; the rest is the joint run's.

    Args:
        cfg: A joint config; it is not changed.
        name: One of its tasks.

    Raises:
        ConfigError: there is no such task.
    """
    scopes = task_scopes(cfg)
    if name not in scopes:
        expected = f'one of the tasks {", ".join(scopes)}' if scopes else 'none: the config has no tasks'
        raise ConfigError(key='--task', value=name, expected=expected)
    view = Config({**cfg._cfg_dict.to_dict(), 'default_scope': scopes[name]}, filename=cfg.filename)
    model = view.model.tasks[name]
    model.pop('_scope_')
    out_indices = model.pop('out_indices', None)
    backbone = {**_BACKBONE, **view.model.backbone}
    model.backbone = backbone if out_indices is None else {**backbone, 'out_indices': tuple(out_indices)}
    view.model = model
    for section in TASK_SECTIONS:
        if view.get(section) is not None:
            view[section] = _own_part(view[section], name)
    return view


def _own_part(section: Mapping[str, Any], name: str) -> Any:
    """A task's part of a section; of one data loader for all, that loader with the task's data set."""
    dataset = section.get('dataset')
    if dataset is None:
        return section.get(name)
    return {
        **section,
        'dataset': {key: value for key, value in dataset['datasets'][name].items() if key != '_scope_'},
    }


@contextmanager
def of_task(name: str) -> Iterator[None]:
    """Errors of a task's own view name the task; those of a single model's config stay as they are."""
    try:
        yield
    except ConfigError as error:
        if not name:
            raise
        raise ConfigError(f'task {name}: {error.key}', error.value, error.expected) from error


def require_one_task(cfg: Config, *, key: str = 'CONFIG') -> None:
    """Refuse configs of several tasks, for what looks at one.

    Raises:
        ConfigError: the config has several.
    """
    tasks = ', '.join(task_scopes(cfg))
    if tasks:
        expected = (
            "a config of one task: the task's own, and of its weights convert_checkpoint.py --task NAME"
        )
        raise ConfigError(key=key, value=f'{cfg.filename} ({tasks})', expected=expected)
