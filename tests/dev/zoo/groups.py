"""The zoo's configs, grouped by what runs in them: heads, necks and codecs, and the kind of data.

Nothing is named here: the groups are read off the configs, so that a new head or data set is a new group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config

from hrnet_mm.config.paths import iter_datasets, iter_metrics, type_name

#: Parts of a model that differ in width from config to config and not in kind, or that do not compute.
_NOT_PARTS = ('backbone', 'data_preprocessor', 'train_cfg', 'test_cfg', 'init_cfg')
#: Types inside of parts that make another computation of the same head.
_PARTS = ('head', 'heads', 'neck', 'decoder', 'sampler', 'roi_extractor')


class Group(NamedTuple):
    """What one run stands for; `streams` is 1 where the config asks for the finest stream alone."""

    model: str
    parts: frozenset[str]
    streams: int
    data: frozenset[str]


def group_of(cfg: Config) -> Group:
    """The group that a config belongs to."""
    parts = (part for key, value in cfg.model.items() if key not in _NOT_PARTS for part in _types(value, key))
    stages = ('train', 'val', 'test')
    data = (*iter_datasets(cfg, stages=stages), *iter_metrics(cfg, stages=stages))
    return Group(
        f'{cfg.default_scope}.{type_name(cfg.model.type)}',
        frozenset(parts),
        1 if cfg.model.backbone.get('multiscale_output') is False else 4,
        frozenset(type_name(item['type']) for _, item in data),
    )


def _types(node: Any, key: str) -> Iterator[str]:
    """Types of the parts in a part of a model, wherever they stand."""
    if isinstance(node, (list, tuple)):
        for item in node:
            yield from _types(item, key)
    elif isinstance(node, dict):
        if 'type' in node and key.endswith(_PARTS):
            yield type_name(node['type'])
        for name, value in node.items():
            if name not in _NOT_PARTS:
                yield from _types(value, name)
