"""The backbone that a config has, by the maps it gives, and the HRNet that takes its place."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from math import gcd
from typing import Any, Final, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from ..config.build import build_module
from ..config.codebases import CODEBASES
from ..models.arch import resolve_arch
from ..utils import iter_dicts
from .request import SwapRefused, SwapRequest

#: The four streams, from fine to coarse, and image pixels per pixel of each.
STREAMS: Final = (0, 1, 2, 3)
STRIDES: Final = (4, 8, 16, 32)

_MMPRETRAIN = 'https://download.openmmlab.com/mmclassification/v0/hrnet'
#: arch -> ImageNet checkpoint. Sources: MMEngine's table of third-party models for ``open-mmlab://``, and
#: mmpretrain's metafile for the widths that are not in it.
IMAGENET_WEIGHTS: Final[Mapping[str, str]] = {
    'w18_small_v2': 'open-mmlab://msra/hrnetv2_w18_small',
    'w18': 'open-mmlab://msra/hrnetv2_w18',
    'w30': f'{_MMPRETRAIN}/hrnet-w30_3rdparty_8xb32_in1k_20220120-8aa3832f.pth',
    'w32': 'open-mmlab://msra/hrnetv2_w32',
    'w40': 'open-mmlab://msra/hrnetv2_w40',
    'w44': f'{_MMPRETRAIN}/hrnet-w44_3rdparty_8xb32_in1k_20220120-35d07f73.pth',
    'w48': 'open-mmlab://msra/hrnetv2_w48',
    'w64': f'{_MMPRETRAIN}/hrnet-w64_3rdparty_8xb32_in1k_20220120-19126642.pth',
}
#: The RGB mean and deviation that those weights were trained with.
_MEAN, _STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
_CLOSE = 1.0  # grey levels: packages round the constants differently

_SIDE = 256  # pixels: a power of two, so that every stride up to it divides it
_BATCH_NORMS = ('BN', 'SyncBN')
_DEFAULT_NORM = {'type': 'BN', 'requires_grad': True}
#: What norms say that were folded into pretrained weights: those of random weights have to learn.
_FOLDED = (('requires_grad', False), ('eps', 0))
#: Families whose ``frozen_stages`` counts a stem and four stages, as HRNet's does.
_FOUR_STAGES = ('Res', 'RegNet', 'HRNet')


class Levels(NamedTuple):
    """Channels and strides, image pixels per map pixel, of a backbone's feature maps in their order."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


def stream_channels(arch: str) -> tuple[int, ...]:
    """Channels of the four streams of a named HRNet: C, 2C, 4C, 8C."""
    return resolve_arch(arch)[-1].out_channels


def backbone_levels(backbone: Mapping[str, Any], *, scope: str, part: str = 'model.backbone') -> Levels:
    """What a config's backbone gives for a square image, found by running it without its weights.

    Raises:
        SwapRefused: it does not build or run on an image alone, or its outputs are no feature maps.
    """
    cfg = without_weights(backbone)
    if isinstance(cfg.get('norm_cfg'), dict):
        cfg['norm_cfg'].pop('eps', None)  # PyTorch refuses the eps=0 of Caffe's folded norms
    for key in ('dcn', 'stage_with_dcn'):  # deformable convolutions change no shape, and know no meta device
        cfg.pop(key, None)
    channels = cfg['in_channels'] if is_int(cfg.get('in_channels')) else 3
    size = cfg.get('img_size', _SIDE)  # some transformers fix it
    side = int(max(size)) if isinstance(size, (list, tuple)) else int(size)
    kind = cfg.get('type')
    for device in ('meta', 'cpu'):  # some backbones compute with values, which the meta device has not
        try:
            outputs = _run(cfg, scope=scope, shape=(1, channels, side, side), device=device)
            break
        except Exception as error:  # backbones are other people's code and fail in any way
            failure = error
    else:
        raise SwapRefused(part, f'the backbone {kind} does not run on an image alone: {failure}') from failure
    maps = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not all(isinstance(x, Tensor) and x.ndim == 4 and x.shape[-1] for x in maps):
        raise SwapRefused(part, f'the backbone {kind} gives no feature maps')
    return Levels(
        channels=tuple(int(x.shape[1]) for x in maps),
        strides=tuple(round(side / x.shape[-1]) for x in maps),
    )


def _run(cfg: Mapping[str, Any], *, scope: str, shape: tuple[int, ...], device: str) -> Any:
    backbone = build_module(cfg, scope=scope, device=device)
    backbone.eval()
    with torch.no_grad(), torch.device(device):
        return backbone(torch.zeros(shape))


def put_hrnet(
    cfg: Config,
    request: SwapRequest,
    *,
    streams: Sequence[int],
    old: Mapping[str, Any],
    holder: dict[str, Any] | None = None,
) -> None:
    """Put HRNet under a config's model whose other parts read ``streams`` already, in place.

    No part loads weights of the old network any more. If it had some, HRNet starts from ImageNet's, and
    images are normalised as these expect. ``holder`` has the backbone where ``cfg.model`` itself has none.
    """
    pretrained = bool(cfg.get('load_from')) or has_weights(cfg.model)
    drop_weights(cfg.model)
    new = hrnet_backbone(old, request, scope=cfg.default_scope, pretrained=pretrained, streams=streams)
    (cfg.model if holder is None else holder)['backbone'] = new
    if 'init_cfg' in new:
        use_imagenet_colours(cfg.model)


def hrnet_backbone(
    old: Mapping[str, Any], request: SwapRequest, *, scope: str, pretrained: bool, streams: Sequence[int]
) -> dict[str, Any]:
    """The dict of the new backbone.

    Image channels, kind of norm, frozen stages, ``norm_eval`` and ``with_cp`` carry over where they mean
    the same; everything else that the old backbone had (style, plugins, deformable convolutions) is dropped,
    and so are the defaults of ``scope``.

    Args:
        old: The old backbone's dict.
        request: What was asked for.
        scope: The codebase it is built in.
        pretrained: Whether the old one started from pretrained weights. The new one then starts from
            ImageNet's, where some are known; without weights nothing is frozen.
        streams: The streams to produce, ascending.
    """
    checkpoint = IMAGENET_WEIGHTS.get(request.arch) if pretrained else None
    defaults = CODEBASES[scope].backbone
    channels, frozen = (
        old[key] if is_int(old.get(key)) else None for key in ('in_channels', 'frozen_stages')
    )
    family = str(old.get('type')).rpartition('.')[2]
    stays_frozen = checkpoint and any(name in family for name in _FOUR_STAGES)
    norm_eval = checkpoint is not None and bool(_norm_eval(old, scope=scope, default=defaults.norm_eval))
    # argument -> its value, and what HRNetBackbone takes in this scope if it is left out.
    arguments = {
        'in_channels': (channels or 3, 3),
        'out_indices': (tuple(streams), STREAMS if defaults.multiscale_output else (0,)),
        'norm_cfg': (_norm(old, arch=request.arch, has_weights=checkpoint is not None), None),
        'frozen_stages': (min(frozen, len(STREAMS)) if stays_frozen and frozen is not None else -1, -1),
        'norm_eval': (norm_eval, defaults.norm_eval),
        'with_cp': (bool(old.get('with_cp')), False),
        'init_cfg': ({'type': 'Pretrained', 'checkpoint': checkpoint} if checkpoint else None, None),
    }
    new = {key: value for key, (value, default) in arguments.items() if value != default}
    return {'type': 'HRNetBackbone', 'arch': request.arch, **new}


def _norm(old: Mapping[str, Any], *, arch: str, has_weights: bool) -> dict[str, Any] | None:
    """The old norms, unless they are the default or do not fit weights that were trained with BN."""
    norm = old.get('norm_cfg')
    kinds = _BATCH_NORMS if has_weights else (*_BATCH_NORMS, 'GN')
    if not isinstance(norm, Mapping) or norm.get('type') not in kinds:
        return None
    if has_weights:
        # momentum and epsilon belong to the weights
        norm = {key: norm[key] for key in ('type', 'requires_grad') if key in norm}
    else:
        norm = {key: value for key, value in norm.items() if (key, value) not in _FOLDED}
    if norm['type'] == 'GN':
        norm['num_groups'] = gcd(norm.get('num_groups', 32), *stream_channels(arch))
    is_default = {**norm, 'requires_grad': norm.get('requires_grad', True)} == _DEFAULT_NORM
    return None if is_default else dict(norm)


def _norm_eval(old: Mapping[str, Any], *, scope: str, default: bool) -> Any:
    """The old backbone's ``norm_eval``, from its dict, or its signature, or else the scope's default."""
    if 'norm_eval' in old:
        return old['norm_eval']
    import_module(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope), MODELS.switch_scope_and_registry(scope) as registry:
        cls = registry.get(str(old.get('type')))
    parameter = None if cls is None else inspect.signature(cls).parameters.get('norm_eval')
    return default if parameter is None or parameter.default is inspect.Parameter.empty else parameter.default


def is_int(value: Any) -> bool:
    """Whether a config's value is a number of channels or an index."""
    return isinstance(value, int) and not isinstance(value, bool)


def has_weights(model: Mapping[str, Any]) -> bool:
    """Whether the model, or a part of it, starts from pretrained weights."""
    return next(_pretrained(model), None) is not None


def drop_weights(model: Any) -> None:
    """Let no part of the model load weights of the old network, in place."""
    for holder, key in list(_pretrained(model)):
        # None and not a removal, which would make the heir repeat the whole dict
        holder[key] = None


def without_weights(module: Mapping[str, Any]) -> dict[str, Any]:
    """A plain copy of a module's dict whose pretrained weights are dropped."""
    cfg = copy.deepcopy(dict(module))
    cfg.pop('pretrained', None)
    drop_weights(cfg)
    return cfg


def _pretrained(node: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every dict that names weights to load, with the key that does."""
    for _, holder in iter_dicts(node):
        if holder.get('pretrained'):
            yield holder, 'pretrained'
        init_cfg = holder.get('init_cfg')
        for init in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
            if isinstance(init, Mapping) and init.get('type') == 'Pretrained':
                yield holder, 'init_cfg'


def use_imagenet_colours(model: Mapping[str, Any]) -> None:
    """Normalise images as ImageNet weights expect, in place, at any depth (``MultiBranch...`` nests)."""
    for _, holder in iter_dicts(model):
        preprocessor = holder.get('data_preprocessor') or {}
        given = [*(preprocessor.get('mean') or ()), *(preprocessor.get('std') or ())]
        if len(given) != len(_MEAN + _STD):
            continue
        to_rgb = next((key for key in ('bgr_to_rgb', 'to_rgb') if key in preprocessor), 'bgr_to_rgb')
        is_close = all(abs(a - b) < _CLOSE for a, b in zip(given, _MEAN + _STD, strict=True))
        if not is_close or not preprocessor.get(to_rgb):
            preprocessor |= {'mean': list(_MEAN), 'std': list(_STD), to_rgb: True}
            if preprocessor.get('rgb_to_bgr'):
                preprocessor['rgb_to_bgr'] = False
