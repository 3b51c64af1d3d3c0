"""HRNet under mmdet's detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mmengine.config import Config

from .backbones import STREAMS, STRIDES, Levels, backbone_levels, put_hrnet, stream_channels
from .necks import fit_neck, hrfpn_for, like, same_strides
from .request import SwapRefused, SwapRequest, refuse_bound

_VIDEO = 'a video model: its tracking is trained and tested with this very detector'
_DISTILLER = 'a distiller: the teacher has the old backbone and its trained weights'

#: Key of a model that no other backbone can serve -> why. The first that is there counts.
_BOUND_KEYS: Final[Mapping[str, str]] = {
    'tracker': _VIDEO,
    'track_head': _VIDEO,
    'language_model': 'a text-image model, whose fusion with language was trained with its own backbone',
    'teacher_config': _DISTILLER,
    'teacher_ckpt': _DISTILLER,
}
#: Key of a part -> its type -> why no other backbone can serve it.
_BOUND_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    'type': {'Detectron2Wrapper': 'a model of detectron2, built from its own config'},
    'neck': {'RFP': 'RFP feeds its pyramid back into ResNets of its own (rfp_backbone)'},
    'roi_head': {'TridentRoIHead': 'TridentRoIHead merges the three branches of a TridentResNet'},
}
#: Heads that read one map at stride 4.
_ONE_FINE_MAP = ('CenterNetHead', 'CornerHead', 'CentripetalHead')


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under a detector, in place.

    Raises:
        SwapRefused: a part of the detector cannot do without its backbone.
    """
    model, part = _innermost(cfg.model)
    old = model['backbone']
    levels = backbone_levels(old, scope='mmdet', part=f'{part}.backbone')
    streams = _fit(model, levels, request, part)
    put_hrnet(cfg, request, streams=streams, old=old, holder=model)


def _innermost(model: dict[str, Any], part: str = 'model') -> tuple[dict[str, Any], str]:
    """The detector that holds the backbone: a semi-supervised one wraps another."""
    refuse_bound(model, keys=_BOUND_KEYS, types=_BOUND_TYPES, part=part)
    if 'backbone' in model:
        return model, part
    if isinstance(model.get('detector'), dict):
        return _innermost(model['detector'], f'{part}.detector')
    raise SwapRefused(part, f'{model.get("type")} has no backbone')


def _fit(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """Adapt whatever reads the backbone; gives the streams that it reads."""
    if request.necks == 'v2':
        return _fit_v2(model, request, part)
    necks = model.get('neck')
    neck, *others = necks if isinstance(necks, (list, tuple)) else [necks]  # the first reads the backbone
    if neck is not None and 'in_channels' in neck:
        if request.necks == 'hrfpn':
            hrfpn = hrfpn_for(neck, levels, request, part=f'{part}.neck')
            model['neck'] = [hrfpn, *others] if others else hrfpn
            return STREAMS
        streams = fit_neck(neck, levels, request, part=f'{part}.neck')
        if neck['type'] == 'SSDNeck':
            _fit_ssd(neck, model['bbox_head'])
        return streams
    if request.necks == 'hrfpn':
        raise SwapRefused(f'{part}.neck', 'there is no pyramid that HRFPN could replace')
    for key, fit in _HEADS.items():
        if isinstance(model.get(key), dict):
            return fit(model, levels, request, part)
    raise SwapRefused(part, f'nothing in {model.get("type")} is known to read its backbone')


def _fit_ssd(neck: dict[str, Any], head: dict[str, Any]) -> None:
    """SSD's first maps go to its head as they come from the backbone."""
    first = len(neck['in_channels'])
    neck['out_channels'] = like(neck['in_channels'], [*neck['in_channels'], *neck['out_channels'][first:]])
    head['in_channels'] = like(head['in_channels'], neck['out_channels'])


def _fit_v2(model: dict[str, Any], request: SwapRequest, part: str) -> tuple[int, ...]:
    head = model.get('bbox_head')
    if not isinstance(head, dict) or head.get('type') not in _ONE_FINE_MAP:
        raise SwapRefused(
            f'{part}.neck',
            'the heads read maps at several strides, HRNetV2Neck gives a single one at stride 4; '
            'ask for --necks keep or hrfpn',
        )
    channels = stream_channels(request.arch)
    model['neck'] = {'type': 'HRNetV2Neck', 'in_channels': list(channels)}
    head['in_channels'] = sum(channels)
    if 'num_feat_levels' in head:
        head['num_feat_levels'] = 1
    return STREAMS


def _fit_corners(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """An hourglass gives a map at stride 4 after each of its stacks, HRNet one."""
    head = model['bbox_head']
    if set(levels.strides) != {STRIDES[0]} or 'num_feat_levels' not in head:
        raise SwapRefused(f'{part}.bbox_head', f'{head.get("type")} is not known to read a backbone directly')
    head['num_feat_levels'] = 1
    head['in_channels'] = stream_channels(request.arch)[0]
    return (0,)


def _fit_queries(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """The pixel decoders of MaskFormer and Mask2Former read all levels, through the head."""
    head = model['panoptic_head']
    streams = same_strides(levels.strides, part=f'{part}.panoptic_head')
    channels = stream_channels(request.arch)
    head['in_channels'] = like(head['in_channels'], [channels[stream] for stream in streams])
    return streams


def _fit_deep_map(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """C4 and DC5 detectors read one deep map, whose width their heads are made for."""
    (stream,) = same_strides(levels.strides[-1:], part=f'{part}.rpn_head')
    model['neck'] = {
        'type': 'ChannelMapper',
        'in_channels': [stream_channels(request.arch)[stream]],
        'kernel_size': 1,
        'out_channels': levels.channels[-1],
        'num_outs': 1,
    }
    return (stream,)


def _fit_vector(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """Re-identification pools one deep map to a vector."""
    (stream,) = same_strides(levels.strides[-1:], part=f'{part}.head')
    model['head']['in_channels'] = stream_channels(request.arch)[stream]
    return (stream,)


#: Head that reads the backbone where there is no neck with channels -> how it is adapted.
_HEADS: Final[Mapping[str, Callable[[dict[str, Any], Levels, SwapRequest, str], tuple[int, ...]]]] = {
    'panoptic_head': _fit_queries,
    'rpn_head': _fit_deep_map,
    'bbox_head': _fit_corners,
    'head': _fit_vector,
}
