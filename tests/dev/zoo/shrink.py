"""A zoo config made small enough for one iteration on a CPU: the smallest network on small pictures.

Only sizes and numbers change: every part, transform, loss, hook, schedule and metric stays the config's own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from hrnet_mm.config.paths import iter_datasets
from hrnet_mm.models.arch import resolve_arch
from hrnet_mm.utils import iter_dicts

SMALL = 'w18_small_v1'
SMALL_STREAMS = (16, 32, 64, 128)
#: Pictures are made this many times smaller ...
DIVISORS: Mapping[str, int] = {'mmpose': 4, 'mmseg': 8, 'mmdet': 8, 'mmpretrain': 4}
#: ... by these settings of transforms, codecs, preprocessors and sliding windows, where more than so many.
_SIZES = {'heatmap_size': 0} | dict.fromkeys(
    ('scale', 'scales', 'crop_size', 'input_size', 'size', 'stride'), 64
)
#: Upper bounds: boxes proposed, kept and sampled; no score is too low for an untrained detector.
_BOUNDS: Mapping[str, float] = {'max_per_img': 8, 'nms_pre': 64, 'num': 32, 'score_thr': 0}
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def shrink(cfg: Config) -> Config:
    """A small copy of a config; its single iteration saves a checkpoint."""
    cfg = copy.deepcopy(cfg)
    _narrow(cfg)
    for part in (cfg._cfg_dict.get(key) for key in ('model', 'codec', *_LOADERS)):
        for _, node in iter_dicts(part):
            for key in node.keys() & _SIZES.keys():
                node[key] = _divided(node[key], DIVISORS[cfg.default_scope], least=_SIZES[key])
            for key in node.keys() & _BOUNDS.keys():
                node[key] = min(_BOUNDS[key], node[key])
    for key in _LOADERS:
        cfg[key].update(num_workers=0, persistent_workers=False, batch_size=min(cfg[key].batch_size, 2))
    for _, dataset in iter_datasets(cfg, stages=('train', 'val', 'test')):
        dataset['indices'] = 2
    cfg.train_cfg.update({'max_epochs': 1} if 'max_epochs' in cfg.train_cfg else {'max_iters': 1})
    cfg.train_cfg.val_begin = 1000  # a test of its own follows: no validation in between
    cfg.default_hooks.checkpoint.interval = cfg.default_hooks.logger.interval = 1
    if 'times' in cfg.train_dataloader.dataset:  # RepeatDataset
        cfg.train_dataloader.dataset.times = 1
    return cfg


def _narrow(cfg: Config) -> None:
    """Put the smallest arch in, random weights, and its channels wherever those of the old arch stand."""
    backbone = cfg.model.backbone
    old = resolve_arch(backbone.get('extra') or backbone['arch'])[-1].out_channels
    backbone.update(arch=SMALL, init_cfg=None)
    backbone.pop('extra', None)
    lists = {tuple(old[:n]): list(SMALL_STREAMS[:n]) for n in (1, 4)}
    numbers = {old[0]: SMALL_STREAMS[0], sum(old): sum(SMALL_STREAMS)}
    for _, node in iter_dicts({key: part for key, part in cfg.model.items() if key != 'backbone'}):
        for key in node.keys() & {'in_channels', 'channels'}:
            value = node[key]
            several = isinstance(value, Sequence)
            node[key] = lists.get(tuple(value), value) if several else numbers.get(value, value)


def _divided(value: Any, divisor: int, *, least: int) -> Any:
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        return type(value)(_divided(item, divisor, least=least) for item in value)
    if isinstance(value, (list, tuple)):
        large = all(isinstance(item, int) for item in value) and max(value, default=0) > least
        return type(value)(max(1, item // divisor) for item in value) if large else value
    return max(1, value // divisor) if isinstance(value, int) and value > least else value
