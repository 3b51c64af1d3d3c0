"""Pointing a config at data in another folder."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from .datasets import iter_datasets
from .errors import ConfigError

_STAGES = ('train', 'val', 'test')


def reroot(cfg: Config, data_root: str) -> None:
    """Move every data set and metric of a config from its old data folder to another, in place.

    Setting the top-level ``data_root`` cannot do that: when the config file was read, its value
    was copied into each data set and each metric's ``ann_file``. Here the old value is replaced
    wherever a path in a data loader or evaluator begins with it. Paths elsewhere stay.

    Args:
        cfg: A config. Its old folder is the top-level ``data_root`` or, where there is none
            (ImageNet, CIFAR), the one that all its data sets share.
        data_root: The new folder.

    Raises:
        ConfigError: if there is no single old folder, or no path lies in it.
    """
    old = _old_root(cfg, data_root)
    moved = 0
    for key in (f'{stage}_{part}' for stage in _STAGES for part in ('dataloader', 'evaluator')):
        if cfg.get(key) is not None:
            cfg[key], count = _replace(cfg[key], old, data_root)
            moved += count
    if not moved:
        raise ConfigError(
            key='--data-root',
            value=data_root,
            expected=f'a config with data sets under its data_root {old!r}, found none',
        )
    if 'data_root' in cfg:
        cfg.data_root = data_root


def _old_root(cfg: Config, data_root: str) -> str:
    top = cfg.get('data_root')
    datasets = (dataset for _, dataset in iter_datasets(cfg, stages=_STAGES))
    roots = [top] if top else [dataset.get('data_root') for dataset in datasets]
    found = sorted({root.rstrip('/') for root in roots if isinstance(root, str) and root})
    if len(found) != 1:
        raise ConfigError(
            key='--data-root',
            value=data_root,
            expected=f'a config whose data sets share one data_root, found {found}; set each with '
            '--cfg-options train_dataloader.dataset.data_root=DIR ...',
        )
    return found[0]


def _replace(node: Any, old: str, new: str) -> tuple[Any, int]:
    """A copy of ``node`` with the folder ``old`` replaced, and the number of paths changed."""
    if isinstance(node, str):
        rest = node[len(old) :]
        # 'data/coco' is a folder of 'data/coco/val' but not of 'data/coco_extra'.
        inside = node.startswith(old) and (not rest or rest.startswith('/'))
        return (new.rstrip('/') + rest, 1) if inside else (node, 0)
    if isinstance(node, dict):
        values = {key: _replace(value, old, new) for key, value in node.items()}
        copy = type(node)({key: value for key, (value, _) in values.items()})
        return copy, sum(count for _, count in values.values())
    if type(node) in (list, tuple):
        items = [_replace(item, old, new) for item in node]
        return type(node)(item for item, _ in items), sum(count for _, count in items)
    return node, 0
