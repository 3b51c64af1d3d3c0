"""Looking for data before a model is built, and saying which config key leads to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from .datasets import STAGES, iter_datasets, iter_metrics
from .errors import ConfigError

#: Files that a data set joins to its ``data_root``, and files that it takes as they are.
_JOINED_FILES = ('ann_file', 'proposal_file')
_PLAIN_FILES = ('bbox_file',)
#: Files and folders that a metric takes as they are.
_METRIC_PATHS = ('ann_file', 'seg_prefix')
#: Data sets of mmpretrain that fetch themselves unless told not to.
_FETCH_THEMSELVES = frozenset({'CIFAR10', 'CIFAR100', 'MNIST', 'FashionMNIST'})
#: Data sets of mmpretrain whose pictures lie in the folder that ``split`` names.
_SPLIT_IS_A_FOLDER = frozenset({'ImageNet', 'ImageNet21k'})


class _Wanted(NamedTuple):
    """One path that has to exist, and the config key and value that lead to it."""

    path: str
    key: str
    value: str
    root_key: str | None  # the data set's data_root, where that is what the path was joined to


def check_data(cfg: Config, *, command: str) -> None:
    """Make sure that the data a command reads is there.

    Remote paths (``s3://``) and data sets that fetch themselves are taken on trust.

    Args:
        cfg: A config.
        command: ``'train'`` (train and val data) or ``'test'``.

    Raises:
        ConfigError: naming the first missing path, its config key and how to set it.
    """
    missing = [wanted for wanted in _wanted_paths(cfg, command) if not os.path.exists(wanted.path)]
    if missing:
        first = missing[0]
        raise ConfigError(
            key=first.key, value=first.value, expected=_expectation(first, others=len(missing) - 1)
        )


def is_remote(path: str) -> bool:
    """Whether a path names something that is not on this machine's disks (``https://``, ...)."""
    return re.match(r'[\w-]+://', path) is not None


def type_name(value: object) -> str:
    """Last part of a ``type=`` value, be it a string or, in new-style configs, a class."""
    return getattr(value, '__name__', None) or str(value).rpartition('.')[2]


def _wanted_paths(cfg: Config, command: str) -> Iterator[_Wanted]:
    for key, dataset in iter_datasets(cfg, stages=STAGES[command]):
        yield from _dataset_paths(dataset, key)
    for key, metric in iter_metrics(cfg, stages=STAGES[command]):
        yield from _plain_paths(metric, key, _METRIC_PATHS)


def _dataset_paths(dataset: Mapping[str, Any], key: str) -> Iterator[_Wanted]:
    if _is_elsewhere(dataset):
        return
    root = dataset.get('data_root') or ''
    root_key = f'{key}.data_root'
    if root and not is_remote(root):
        yield _Wanted(root, root_key, root, None)
        if not os.path.exists(root):
            return  # one missing folder is one message, not one for each file under it
    yield from _plain_paths(dataset, key, _PLAIN_FILES)
    for name, value in _joined_values(dataset):
        path = os.path.join(root, value)
        if value and not is_remote(path):
            joined = root and not os.path.isabs(value)
            yield _Wanted(path, f'{key}.{name}', value, root_key if joined else None)


def _joined_values(dataset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and value of every path that the data set joins to its ``data_root``."""
    entries = {name: dataset.get(name) for name in _JOINED_FILES}
    prefix = dataset.get('data_prefix')
    if isinstance(prefix, dict):
        entries |= {f'data_prefix.{name}': value for name, value in prefix.items()}
    elif prefix:
        entries['data_prefix'] = prefix
    elif type_name(dataset.get('type')) in _SPLIT_IS_A_FOLDER:
        entries['split'] = dataset.get('split')
    yield from ((name, value) for name, value in entries.items() if isinstance(value, str))


def _plain_paths(node: Mapping[str, Any], key: str, names: tuple[str, ...]) -> Iterator[_Wanted]:
    for name in names:
        value = node.get(name)
        if isinstance(value, str) and value and not is_remote(value):
            yield _Wanted(value, f'{key}.{name}', value, None)


def _is_elsewhere(dataset: Mapping[str, Any]) -> bool:
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    fetches = type_name(dataset.get('type')) in _FETCH_THEMSELVES and dataset.get('download', True)
    return backend != 'local' or bool(fetches)


def _expectation(wanted: _Wanted, *, others: int) -> str:
    ways = [f'{wanted.key}=PATH']
    if wanted.key.endswith('.bbox_file'):
        ways.append(f"{wanted.key}=None (boxes of the truth instead of a detector's)")
    if wanted.root_key:
        ways.append(f'{wanted.root_key}=DIR')
    more = f' ({others} more missing)' if others else ''
    return (
        f'an existing path, looked for {Path(wanted.path).absolute()}{more}; set it with '
        f'--cfg-options {" or ".join(ways)}, or move all data sets at once with --data-root DIR'
    )
