"""The HRNet that takes an old backbone's place, keeping what means the same in both."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from math import gcd
from typing import Any

from mmengine.registry import MODELS, DefaultScope

from ..models import SCOPE_DEFAULTS
from .levels import hrnet_levels
from .request import SwapRequest
from .weights import imagenet_init

_ALL = (0, 1, 2, 3)
_BATCH_NORMS = ('BN', 'SyncBN')
_NORMS = (*_BATCH_NORMS, 'GN')
_DEFAULT_NORM = {'type': 'BN', 'requires_grad': True}
#: What norms say that were folded into pretrained weights: those of random weights have to learn.
_FOLDED = (('requires_grad', False), ('eps', 0))
#: Families whose ``frozen_stages`` counts a stem and four stages, as HRNet's does.
_FOUR_STAGES = ('Res', 'RegNet', 'HRNet')
_LAST_STAGE = 4


def hrnet_backbone(
    old: Mapping[str, Any],
    request: SwapRequest,
    *,
    scope: str,
    pretrained: bool,
    streams: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The dict of the new backbone.

    Image channels, kind of norm, frozen stages, ``norm_eval`` and ``with_cp`` carry over where they mean
    the same; everything else that the old backbone had (style, plugins, deformable convolutions) is dropped.

    Args:
        old: The old backbone's dict.
        request: What was asked for.
        scope: The codebase it is built in, whose defaults are left out of the dict.
        pretrained: Whether the old one started from pretrained weights. The new one then starts from
            ImageNet's, where some are known; without weights nothing is frozen.
        streams: The streams to produce, ascending; ``None`` for the scope's default.
    """
    weights = imagenet_init(request.arch) if pretrained else None
    new: dict[str, Any] = {'type': 'HRNetBackbone', 'arch': request.arch}
    if is_int(old.get('in_channels')) and old['in_channels'] != 3:
        new['in_channels'] = old['in_channels']
    if streams is not None and tuple(streams) != _default_streams(scope):
        new['out_indices'] = tuple(streams)
    new |= _norm(old, arch=request.arch, with_weights=weights is not None)
    new |= _frozen(old) if weights is not None else {}
    new |= _norm_eval(old, scope=scope, with_weights=weights is not None)
    if old.get('with_cp'):
        new['with_cp'] = True
    if weights is not None:
        new['init_cfg'] = weights
    return new


def is_int(value: Any) -> bool:
    """Whether a config's value is a number of channels or an index."""
    return isinstance(value, int) and not isinstance(value, bool)


def _default_streams(scope: str) -> tuple[int, ...]:
    return _ALL if SCOPE_DEFAULTS[scope].multiscale_output else (0,)


def _norm(old: Mapping[str, Any], *, arch: str, with_weights: bool) -> dict[str, Any]:
    """The old norms, unless they are the default or do not fit weights that were trained with BN."""
    norm = old.get('norm_cfg')
    if not isinstance(norm, Mapping) or norm.get('type') not in _NORMS:
        return {}
    norm = dict(norm)
    if with_weights:
        # momentum and epsilon belong to the weights; so does the kind of norm
        norm = {key: norm[key] for key in ('type', 'requires_grad') if key in norm}
        if norm['type'] not in _BATCH_NORMS:
            return {}
    else:
        norm = {key: value for key, value in norm.items() if (key, value) not in _FOLDED}
    if norm['type'] == 'GN':
        norm['num_groups'] = gcd(norm.get('num_groups', 32), *hrnet_levels(arch).channels)
    is_default = {**norm, 'requires_grad': norm.get('requires_grad', True)} == _DEFAULT_NORM
    return {} if is_default else {'norm_cfg': norm}


def _frozen(old: Mapping[str, Any]) -> dict[str, Any]:
    frozen = old.get('frozen_stages', -1)
    family = str(old.get('type')).rpartition('.')[2]
    if not is_int(frozen) or frozen < 0 or not any(name in family for name in _FOUR_STAGES):
        return {}
    return {'frozen_stages': min(frozen, _LAST_STAGE)}


def _norm_eval(old: Mapping[str, Any], *, scope: str, with_weights: bool) -> dict[str, Any]:
    default = SCOPE_DEFAULTS[scope].norm_eval
    wanted = bool(_norm_eval_of(old, scope=scope, default=default)) and with_weights
    return {} if wanted == default else {'norm_eval': wanted}


def _norm_eval_of(old: Mapping[str, Any], *, scope: str, default: bool) -> Any:
    """The old backbone's ``norm_eval``, from its dict, or its signature, or else the scope's default."""
    if 'norm_eval' in old:
        return old['norm_eval']
    import_module(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope), MODELS.switch_scope_and_registry(scope) as registry:
        cls = registry.get(str(old.get('type')))
    if cls is None:
        return default
    parameter = inspect.signature(cls).parameters.get('norm_eval')
    return default if parameter is None or parameter.default is inspect.Parameter.empty else parameter.default
