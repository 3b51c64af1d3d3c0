"""Whether a config's model can be built and its parts fit, before data, logs or weights are touched."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from .errors import ConfigError, one_line

_SIDE = 512  # pixels: some pyramids refuse small images, and on the meta device the size costs nothing
#: How operators say that they cannot work on shapes alone: mmcv's own, and PyTorch's.
_NEEDS_NUMBERS = ('implementation for device meta', "'Meta' backend")


def check_model(cfg: Config) -> None:
    """Build the model without memory and send an image's shape through backbone and neck.

    Raises:
        ConfigError: an argument of the model is wrong, or its parts do not fit each other.
    """
    scope = str(cfg.default_scope)
    import_module(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the real build gives them again
        try:
            model = _build(cfg)
            _try_shapes(model)
        except Exception as error:  # building runs code of many packages, which fails in any way
            if any(hint in str(error) for hint in _NEEDS_NUMBERS):
                return  # only the real run can tell
            raise ConfigError(
                key='model', value=cfg.model.get('type'), expected=f'a model that fits ({one_line(error)})'
            ) from error


def _build(cfg: Config) -> Any:
    try:
        with torch.device('meta'):
            return MODELS.build(cfg.model)
    except Exception:
        # some models compute with values while they are built: only the real build can tell
        return MODELS.build(cfg.model)


def _try_shapes(model: Any) -> None:
    from ..models import HRNetBackbone

    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, HRNetBackbone) or not next(backbone.parameters()).is_meta:
        return
    model.eval()  # batch norms of a single pixel can be evaluated, not trained; this copy is thrown away
    with torch.no_grad():
        features = backbone(torch.empty(1, backbone.in_channels, _SIDE, _SIDE, device='meta'))
        if getattr(model, 'neck', None) is not None:
            model.neck(features)
