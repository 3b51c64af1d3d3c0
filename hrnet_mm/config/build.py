"""From a config to a module on a device: the one place where models are built outside a Runner."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.overrides import TorchFunctionMode

from .codebases import require_scope
from .errors import ConfigError, one_line


def build_module(settings: Mapping[str, Any], *, scope: str, device: str = 'cpu') -> nn.Module:
    """A module from its config, which stays as it is.

    Args:
        settings: With ``type``, as in ``cfg.model`` or ``cfg.model.backbone``.
        scope: MMEngine scope to build it in.
        device: ``'meta'`` for one that takes no memory and holds no numbers.

    Raises:
        Exception: whatever its constructor raises.
    """
    import_module(f'{scope}.models')
    with (
        DefaultScope.overwrite_default_scope(scope),
        torch.device(device),
        _LinspaceOnCPU(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')  # a model that is trained gives them again
        module: nn.Module = MODELS.build(copy.deepcopy(dict(settings)))  # mmseg writes into what it is given
    return module


def build_model(cfg: Config, *, device: str = 'cpu') -> nn.Module:
    """The config's model in eval mode, with torch's own first weights; nothing is downloaded.

    As in MMEngine's Runner, a ``data_preprocessor`` beside the model is the model's. Norms synchronised
    over processes become those of one.

    Raises:
        ConfigError: if the config has no model, or one that can't be built.
    """
    if cfg.get('model') is None:
        raise ConfigError(key='model', value=None, expected='a config with a model')
    scope = require_scope(cfg)
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    try:
        model: nn.Module = revert_sync_batchnorm(build_module(settings, scope=scope, device=device))
    except Exception as error:  # anything a model's constructor may raise
        raise ConfigError(
            key='model.type',
            value=cfg.model.get('type'),
            expected=f'a model that can be built ({one_line(error)})',
        ) from error
    model.eval()  # not chained: mmpose's HRNet.train() returns nothing
    return model


class _LinspaceOnCPU(TorchFunctionMode):
    """Keep ``torch.linspace`` off the meta device: constructors read drop path rates from it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)
