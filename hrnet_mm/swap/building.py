"""Building other people's modules only to look at them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn


def build_to_look(module: Mapping[str, Any], *, scope: str) -> nn.Module:
    """A module from its config, without memory for its weights wherever it can be built so."""
    try:
        return build_on(module, scope=scope, device='meta')
    except Exception:
        # some compute with values while they are built (drop rates by ``linspace``): then with real weights
        return build_on(module, scope=scope, device='cpu')


def build_on(module: Mapping[str, Any], *, scope: str, device: str) -> nn.Module:
    """A module from its config in the scope and on the device given; the config stays as it is."""
    import_module(f'{scope}.models')
    with (
        DefaultScope.overwrite_default_scope(scope),
        warnings.catch_warnings(),
        torch.device(device),
    ):
        warnings.simplefilter('ignore')  # a model that is used gives them again
        built: nn.Module = MODELS.build(copy.deepcopy(dict(module)))
    return built
