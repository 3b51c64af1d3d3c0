"""Optimiser settings that name parts of the old backbone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mmengine.config import Config

#: Settings of the constructors that decay learning rates along the layers of one kind of network.
_LAYERWISE = ('decay_rate', 'layer_decay_rate', 'decay_type', 'num_layers')
_PLAIN = 'DefaultOptimWrapperConstructor'


def names_layers(cfg: Config) -> bool:
    """Whether the optimiser treats some parameters differently, so that it matters how they are called."""
    return bool(_paramwise(cfg))


def adapt_optimizer(cfg: Config, *, before: Collection[str], after: Collection[str]) -> None:
    """Forget what belonged to the old backbone, in place.

    Layer-wise decay counts the layers of a ViT, Swin or ConvNeXt, and HRNet's streams have no such order:
    the plain constructor takes its place. ``custom_keys`` that named parameters of the old backbone and none
    of the new model go, and with them those that name nothing at all.

    Args:
        cfg: The whole config.
        before: Names of the old backbone's parameters, starting with ``backbone.``.
        after: Names of all parameters of the new model.
    """
    paramwise = _paramwise(cfg)
    if any(key in paramwise for key in _LAYERWISE):
        cfg.optim_wrapper['constructor'] = _PLAIN
        for key in _LAYERWISE:
            paramwise.pop(key, None)
    keys = paramwise.get('custom_keys') or {}
    dead = [key for key in keys if not _occurs(key, after)]
    if any(_occurs(key, before) for key in dead):
        for key in dead:
            del keys[key]


def _paramwise(cfg: Config) -> dict[str, Any]:
    wrapper = cfg.get('optim_wrapper') or {}
    return wrapper.get('paramwise_cfg') or {}


def _occurs(key: str, names: Collection[str]) -> bool:
    return any(key in name for name in names)
