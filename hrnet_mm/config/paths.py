"""The data sets and metrics of a config: finding them, their paths, and moving them to another folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from mmengine.config import Config

from ..utils import map_leaves
from .errors import ConfigError
from .files import is_remote

#: What each command iterates over: ``<stage>_dataloader`` and ``<stage>_evaluator``.
STAGES: Final[Mapping[str, tuple[str, ...]]] = {'train': ('train', 'val'), 'test': ('test',)}
_ALL_STAGES = ('train', 'val', 'test')
#: Keys under which wrappers (RepeatDataset, ConcatDataset, CombinedDataset, ...) keep data sets,
#: and under which multi-evaluators keep metrics.
_INNER_DATASETS = ('dataset', 'datasets')
_INNER_METRICS = ('metrics', 'evaluators')
#: Files that a data set joins to its ``data_root``, and files that it takes as they are.
_JOINED_FILES = ('ann_file', 'proposal_file')
_PLAIN_FILES = ('bbox_file',)
#: Files and folders that a metric takes as they are.
_METRIC_PATHS = ('ann_file', 'seg_prefix')
#: Data sets of mmpretrain that fetch themselves unless told not to.
_FETCH_THEMSELVES = frozenset({'CIFAR10', 'CIFAR100', 'MNIST', 'FashionMNIST'})
#: Data sets of mmpretrain whose pictures lie in the folder that ``split`` names.
_SPLIT_IS_A_FOLDER = frozenset({'ImageNet', 'ImageNet21k'})


#: A path that has to exist, the config key and value that lead to it, and the key of the ``data_root`` that
#: it was joined to, if any.
_Wanted: TypeAlias = tuple[str, str, str, str | None]


def type_name(value: object) -> str:
    """Last part of a ``type=`` value, be it a string or, in new-style configs, a class."""
    return getattr(value, '__name__', None) or str(value).rpartition('.')[2]


def iter_datasets(cfg: Config, *, stages: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every innermost data set of some stages.

    Args:
        cfg: A config.
        stages: Names among ``train``, ``val`` and ``test``; those the config lacks are skipped.

    Yields:
        The config key, as ``--cfg-options`` spells it, and the data set's own dict.
    """
    for stage in stages:
        loader = cfg.get(f'{stage}_dataloader') or {}
        yield from _innermost(loader.get('dataset'), f'{stage}_dataloader.dataset', _INNER_DATASETS)


def iter_metrics(cfg: Config, *, stages: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every metric of some stages; arguments and results as in ``iter_datasets``."""
    for stage in stages:
        yield from _innermost(cfg.get(f'{stage}_evaluator'), f'{stage}_evaluator', _INNER_METRICS)


def check_data(cfg: Config, *, command: str) -> None:
    """Make sure that the data a command reads is there.

    Remote paths (``s3://``) and data sets that fetch themselves are taken on trust.

    Args:
        cfg: A config.
        command: ``'train'`` (train and val data) or ``'test'``.

    Raises:
        ConfigError: naming the first missing path, its config key and how to set it.
    """
    missing = [wanted for wanted in _wanted_paths(cfg, command) if not os.path.exists(wanted[0])]
    if not missing:
        return
    path, key, value, root_key = missing[0]
    ways = [f'{key}=PATH']
    if key.endswith('.bbox_file'):
        ways.append(f"{key}=None (boxes of the truth instead of a detector's)")
    if root_key:
        ways.append(f'{root_key}=DIR')
    more = f' ({len(missing) - 1} more missing)' if missing[1:] else ''
    raise ConfigError(
        key=key,
        value=value,
        expected=f'an existing path, looked for {Path(path).absolute()}{more}; set it with '
        f'--cfg-options {" or ".join(ways)}, or move all data sets at once with --data-root DIR',
    )


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
    moved = []

    def move(value: Any) -> Any:
        # 'data/coco' is a folder of 'data/coco/val' but not of 'data/coco_extra'
        if not isinstance(value, str) or not f'{value}/'.startswith(f'{old}/'):
            return value
        moved.append(value)
        return data_root.rstrip('/') + value[len(old) :]

    for key in (f'{stage}_{part}' for stage in _ALL_STAGES for part in ('dataloader', 'evaluator')):
        if cfg.get(key) is not None:
            cfg[key] = map_leaves(cfg[key], move)
    if not moved:
        expected = f'a config with data sets under its data_root {old!r}, found none'
        raise ConfigError(key='--data-root', value=data_root, expected=expected)
    if 'data_root' in cfg:
        cfg.data_root = data_root


def _old_root(cfg: Config, data_root: str) -> str:
    top = cfg.get('data_root')
    datasets = (dataset for _, dataset in iter_datasets(cfg, stages=_ALL_STAGES))
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


def _innermost(node: Any, key: str, inner: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, (list, tuple)):
        for index, item in enumerate(node):
            yield from _innermost(item, f'{key}.{index}', inner)
    elif isinstance(node, dict):
        nested = [name for name in inner if isinstance(node.get(name), (dict, list, tuple))]
        for name in nested:
            yield from _innermost(node[name], f'{key}.{name}', inner)
        if not nested:
            yield key, node


def _wanted_paths(cfg: Config, command: str) -> Iterator[_Wanted]:
    for key, dataset in iter_datasets(cfg, stages=STAGES[command]):
        backend = (dataset.get('backend_args') or {}).get('backend', 'local')
        fetches = type_name(dataset.get('type')) in _FETCH_THEMSELVES and dataset.get('download', True)
        if backend == 'local' and not fetches:
            yield from _dataset_paths(dataset, key)
    for key, metric in iter_metrics(cfg, stages=STAGES[command]):
        yield from _local({name: metric.get(name) for name in _METRIC_PATHS}, key)


def _dataset_paths(dataset: Mapping[str, Any], key: str) -> Iterator[_Wanted]:
    root = dataset.get('data_root') or ''
    if root and not is_remote(root) and not os.path.exists(root):
        yield root, f'{key}.data_root', root, None
        return  # one missing folder is one message, not one for each file under it
    joined = {name: dataset.get(name) for name in _JOINED_FILES}
    prefix = dataset.get('data_prefix')
    if isinstance(prefix, dict):
        joined |= {f'data_prefix.{name}': value for name, value in prefix.items()}
    elif prefix:
        joined['data_prefix'] = prefix
    elif type_name(dataset.get('type')) in _SPLIT_IS_A_FOLDER:
        joined['split'] = dataset.get('split')
    yield from _local({name: dataset.get(name) for name in _PLAIN_FILES}, key)
    yield from _local(joined, key, root=root)


def _local(entries: Mapping[str, Any], key: str, *, root: str = '') -> Iterator[_Wanted]:
    """Those of a section's entries that name something on this machine, joined to a folder."""
    for name, value in entries.items():
        if isinstance(value, str) and value and not is_remote(path := os.path.join(root, value)):
            is_joined = root and not os.path.isabs(value)
            yield path, f'{key}.{name}', value, f'{key}.data_root' if is_joined else None
