"""HRNet under mmdet's detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmengine.config import Config

from .backbones import STREAMS, STRIDES, Levels, backbone_levels, put_hrnet, stream_channels
from .necks import fit_neck, like, same_strides
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
#: Heads that read the backbone where there is no neck with channels.
_READERS = ('panoptic_head', 'rpn_head', 'bbox_head', 'head')
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
        neck, streams = fit_neck(neck, levels, request, part=f'{part}.neck')
        model['neck'] = [neck, *others] if others else neck
        if neck['type'] == 'SSDNeck':
            # its first maps go to the head as they come from the backbone
            widths = [*neck['in_channels'], *neck['out_channels'][len(neck['in_channels']) :]]
            neck['out_channels'] = like(neck['in_channels'], widths)
            model['bbox_head']['in_channels'] = like(model['bbox_head']['in_channels'], widths)
        return streams
    if request.necks == 'hrfpn':
        raise SwapRefused(f'{part}.neck', 'there is no pyramid that HRFPN could replace')
    return _fit_head(model, levels, request, part)


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


def _fit_head(model: dict[str, Any], levels: Levels, request: SwapRequest, part: str) -> tuple[int, ...]:
    """Adapt the head that reads the backbone where there is no neck with channels."""
    key = next((key for key in _READERS if isinstance(model.get(key), dict)), None)
    if key is None:
        raise SwapRefused(part, f'nothing in {model.get("type")} is known to read its backbone')
    head, part, channels = model[key], f'{part}.{key}', stream_channels(request.arch)
    if key == 'panoptic_head':
        # the pixel decoders of MaskFormer and Mask2Former read all levels
        streams = same_strides(levels.strides, part=part)
        head['in_channels'] = like(head['in_channels'], [channels[stream] for stream in streams])
        return streams
    if key == 'bbox_head':
        # an hourglass gives corners a map at stride 4 after each of its stacks, HRNet one
        if set(levels.strides) != {STRIDES[0]} or 'num_feat_levels' not in head:
            raise SwapRefused(part, f'{head.get("type")} is not known to read a backbone directly')
        head |= {'num_feat_levels': 1, 'in_channels': channels[0]}
        return (0,)
    (stream,) = same_strides(levels.strides[-1:], part=part)
    if key == 'head':
        # re-identification pools one deep map to a vector
        head['in_channels'] = channels[stream]
    else:
        # C4 and DC5 detectors read one deep map, whose width their heads are made for
        model['neck'] = {
            'type': 'ChannelMapper',
            'in_channels': [channels[stream]],
            'kernel_size': 1,
            'out_channels': levels.channels[-1],
            'num_outs': 1,
        }
    return (stream,)
