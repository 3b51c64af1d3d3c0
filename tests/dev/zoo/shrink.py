"""A zoo config made small enough for one iteration on a CPU: the smallest network on small pictures.

Only sizes and numbers change: every part, transform, loss, hook, schedule and metric stays the config's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mmengine.config import Config

from hrnet_mm.config.paths import iter_datasets
from hrnet_mm.models.arch import resolve_arch

SMALL = 'w18_small_v1'
SMALL_STREAMS = (16, 32, 64, 128)

#: Pictures are made this many times smaller ...
DIVISORS: Mapping[str, int] = {'mmpose': 4, 'mmseg': 8, 'mmdet': 8, 'mmpretrain': 4}
#: ... by these settings of transforms, codecs, preprocessors and sliding windows, where they are large, ...
_SIZES = ('scale', 'scales', 'crop_size', 'input_size', 'size', 'stride')
_LARGE = 64
#: ... and heatmaps with them.
_HEATMAPS = ('heatmap_size',)
#: Upper bounds: boxes proposed, kept and sampled; no score is too low for an untrained detector.
_BOUNDS: Mapping[str, float] = {'max_per_img': 8, 'nms_pre': 64, 'num': 32, 'score_thr': 0}


def shrink(cfg: Config) -> Config:
    """A small copy of a config; its single iteration saves a checkpoint."""
    cfg = copy.deepcopy(cfg)
    _narrow(cfg)
    divisor = DIVISORS[cfg.default_scope]
    for key in ('model', 'codec', 'train_dataloader', 'val_dataloader', 'test_dataloader'):
        if key in cfg:
            cfg[key] = _resized(cfg[key], divisor)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[key].num_workers = 0
        cfg[key].persistent_workers = False
        cfg[key].batch_size = min(cfg[key].batch_size, 2)
    for _, dataset in iter_datasets(cfg, stages=('train', 'val', 'test')):
        dataset['indices'] = 2
    _train_once(cfg)
    return cfg


def _train_once(cfg: Config) -> None:
    by_epoch = 'max_epochs' in cfg.train_cfg
    cfg.train_cfg.update({'max_epochs': 1} if by_epoch else {'max_iters': 1})
    # a test of its own follows: no validation in between
    cfg.train_cfg.val_begin = 1000
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.logger.interval = 1
    wrapped = cfg.train_dataloader.dataset
    if 'times' in wrapped:  # RepeatDataset
        wrapped.times = 1


def _narrow(cfg: Config) -> None:
    """Put the smallest arch in, random weights, and its channels wherever those of the old arch stand."""
    backbone = cfg.model.backbone
    old = _streams(backbone)
    backbone.update(arch=SMALL, init_cfg=None)
    backbone.pop('extra', None)
    numbers = {old[0]: SMALL_STREAMS[0], sum(old): sum(SMALL_STREAMS)}
    lists = {tuple(old[:n]): list(SMALL_STREAMS[:n]) for n in (1, 4)}
    for name in cfg.model.keys() - {'backbone'}:
        cfg.model[name] = _walk(cfg.model[name], ('in_channels', 'channels'), _substitute(numbers, lists))


def _streams(backbone: Mapping[str, Any]) -> tuple[int, ...]:
    return resolve_arch(backbone.get('extra') or backbone['arch'])[-1].out_channels


def _substitute(numbers: Mapping[int, int], lists: Mapping[tuple[int, ...], list[int]]) -> Callable[..., Any]:
    def substitute(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return lists.get(tuple(value), value)
        return numbers.get(value, value)

    return substitute


def _resized(node: Any, divisor: int) -> Any:
    def divide(value: Any, *, least: int = _LARGE) -> Any:
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
            return type(value)(divide(item, least=least) for item in value)
        if isinstance(value, (list, tuple)):
            large = all(isinstance(item, int) for item in value) and max(value, default=0) > least
            return type(value)(_over(item, divisor) for item in value) if large else value
        return _over(value, divisor) if isinstance(value, int) and value > least else value

    node = _walk(node, _SIZES, divide)
    node = _walk(node, _HEATMAPS, lambda value: divide(value, least=0))
    for key, most in _BOUNDS.items():
        node = _walk(node, (key,), partial(min, most))
    return node


def _over(value: int, divisor: int) -> int:
    return max(1, value // divisor)


def _walk(node: Any, keys: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of a config's part with the values under some keys changed."""
    if isinstance(node, dict):
        return type(node)(
            {key: change(value) if key in keys else _walk(value, keys, change) for key, value in node.items()}
        )
    if isinstance(node, (list, tuple)):
        return type(node)(_walk(item, keys, change) for item in node)
    return node
