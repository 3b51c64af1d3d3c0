"""``--what backbone``: HRNet of the four packages and of timm, and ours with the same defaults."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from torch import nn

from hrnet_mm.models.defaults import SCOPE_DEFAULTS

from .drivers import Bare
from .lively import calibrate, enliven
from .matches import Entrant, Maker, Match, build, extra_of, random_images
from .request import Request

#: Ours beside timm's, whose defaults are mmpretrain's.
_TIMMS_SCOPE = 'mmpretrain'
_TIMMS_NAMES: Mapping[str, str] = MappingProxyType({'w18_small_v1': 'hrnet_w18_small'})


def timms_name(arch: str) -> str:
    """What timm calls an architecture."""
    return _TIMMS_NAMES.get(arch, f'hrnet_{arch}')


def _timms(request: Request) -> nn.Module:
    """timm's network up to the streams."""
    module: nn.Module = import_module('timm').create_model(
        timms_name(request.arch),
        pretrained=False,
        features_only=True,
        feature_location='',
        out_indices=(1, 2, 3, 4),
    )
    return module


def _packages(request: Request, scope: str, *, norm_eval: bool) -> nn.Module:
    """A package's own."""
    return build({'type': 'HRNet', 'extra': extra_of(request.arch), 'norm_eval': norm_eval}, scope=scope)


def _match(request: Request, peer: str) -> Match:
    scope = _TIMMS_SCOPE if peer == 'timm' else peer
    # as with pretrained weights, with which all training starts
    norm_eval = SCOPE_DEFAULTS[scope].norm_eval
    theirs = _timms(request) if peer == 'timm' else _packages(request, scope, norm_eval=norm_eval)
    ours = build({'type': 'HRNetBackbone', 'arch': request.arch, 'norm_eval': norm_eval}, scope=scope)
    enliven(theirs)
    theirs.to(request.device)
    calibrate(theirs, lambda: theirs(random_images(request, calibration=True)))
    ours.to(request.device).load_state_dict(theirs.state_dict(), strict=True)
    return Match(
        scope=scope,
        inputs=(random_images(request),),
        peer=Entrant(peer, theirs, Bare()),
        ours=Entrant('ours', ours, Bare()),
    )


MAKERS: Mapping[str, Maker] = MappingProxyType({'backbone': _match})
