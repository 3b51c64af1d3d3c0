"""Finding the data sets of a config, however deeply they are wrapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

#: What each command iterates over: ``<stage>_dataloader`` and ``<stage>_evaluator``.
STAGES: Mapping[str, tuple[str, ...]] = {'train': ('train', 'val'), 'test': ('test',)}

#: Keys under which wrappers (RepeatDataset, ConcatDataset, CombinedDataset, ...) keep data sets,
#: and under which multi-evaluators keep metrics.
_INNER_DATASETS = ('dataset', 'datasets')
_INNER_METRICS = ('metrics', 'evaluators')


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
        yield from _leaves(loader.get('dataset'), f'{stage}_dataloader.dataset', _INNER_DATASETS)


def iter_metrics(cfg: Config, *, stages: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every metric of some stages; arguments and results as in ``iter_datasets``."""
    for stage in stages:
        yield from _leaves(cfg.get(f'{stage}_evaluator'), f'{stage}_evaluator', _INNER_METRICS)


def _leaves(node: Any, key: str, inner: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, (list, tuple)):
        for index, item in enumerate(node):
            yield from _leaves(item, f'{key}.{index}', inner)
    elif isinstance(node, dict):
        nested = [name for name in inner if isinstance(node.get(name), (dict, list, tuple))]
        for name in nested:
            yield from _leaves(node[name], f'{key}.{name}', inner)
        if not nested:
            yield key, node
