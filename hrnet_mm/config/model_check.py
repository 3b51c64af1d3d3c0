"""Whether a config's model can be built and its parts fit, before data, logs or weights are touched."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ..models import HRNetBackbone
from .build import build_light
from .codebases import import_models, require_scope
from .errors import one_line, refused
from .options import nearest

_SIDE = 512  # pixels: some pyramids refuse small images, and on the meta device the size costs nothing
_HEADS = ('head', 'decode_head', 'rpn_head', 'bbox_head')
#: How a convolution says that its input has other channels than its config.
_WRONG_CHANNELS = re.compile(r'Invalid channel dimensions|to have \d+ channels, but got \d+')
#: How MMEngine says that a type is registered nowhere.
_UNKNOWN_TYPE = re.compile(r"'?(\w+) is not in the (?:\w+::)?[\w ]+ registry")
#: How operators say that they cannot work on shapes alone: mmcv's own, and PyTorch's.
_NEEDS_NUMBERS = ('implementation for device meta', "'Meta' backend")


def check_model(cfg: Config) -> nn.Module:
    """Build the model without memory and send an image's shape through backbone, neck and heads.

    Returns:
        The model, on the meta device where it can be.

    Raises:
        ConfigError: an argument of the model is wrong, or its parts do not fit each other.
    """
    scope = require_scope(cfg)
    import_models(scope)
    fits = refused('model', cfg.model.get('type'), expected='a model that fits', explain=_explain)
    with fits, DefaultScope.overwrite_default_scope(scope), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the real run gives them again
        model = build_light(cfg.model, scope=scope)
        try:
            _try_shapes(model)
        except RuntimeError as error:
            if not any(hint in str(error) for hint in _NEEDS_NUMBERS):
                raise
    return model


def _explain(error: Exception) -> str:
    """The error in one line; of a type that is registered nowhere, which it was meant to be."""
    unknown = _UNKNOWN_TYPE.search(str(error))
    if unknown is None:
        return one_line(error)
    types = itertools.chain(MODELS.module_dict, *(child.module_dict for child in MODELS.children.values()))
    meant = nearest(unknown[1], types)
    return f'no type {unknown[1]!r} is registered' + (f', the nearest is {meant!r}' if meant else '')


@torch.no_grad()
def _try_shapes(model: Any) -> None:
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, HRNetBackbone) or not next(backbone.parameters()).is_meta:
        return
    model.eval()  # batch norms of a single pixel can be evaluated, not trained; this copy is thrown away
    features: Any = backbone(torch.empty(1, backbone.in_channels, _SIDE, _SIDE, device='meta'))
    if getattr(model, 'neck', None) is not None:
        features = model.neck(features)
    for name in _HEADS:
        head = getattr(model, name, None)
        if head is None:
            continue
        first = head[0] if isinstance(head, nn.ModuleList) else head  # a cascade's first feeds the others
        try:
            first(features)
        except Exception as error:  # heads differ in what they are called with: no mistake of the config's
            if _WRONG_CHANNELS.search(str(error)):
                given = [feature.shape[1] for feature in features]
                raise ValueError(f'{name} is made for other channels than the {given} it is given') from error
