"""HRNet under mmpose's pose estimators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from .level_necks import fit_neck, hrfpn_for
from .levels import backbone_levels, hrnet_levels
from .new_backbone import hrnet_backbone
from .old_weights import drop_weights, has_weights, use_imagenet_colours
from .pose_heads import FITS, Fit
from .refusal import SwapRefused
from .request import SwapRequest
from .streams import STRIDES, like

_SCOPE = 'mmpose'
_ALL = (0, 1, 2, 3)

_SEQUENCE = 'lifts keypoints to three dimensions, and reads no image'

#: Key or type that no other backbone can serve, in the order of looking -> why.
_BOUND_PARTS: Mapping[str, str] = MappingProxyType(
    {'teacher_cfg': 'a distiller: the teacher has the old backbone and its trained weights'}
)
_BOUND_BACKBONES: Mapping[str, str] = MappingProxyType({'TCN': _SEQUENCE, 'DSTFormer': _SEQUENCE})
_BOUND_HEADS: Mapping[str, str] = MappingProxyType(
    {'MSPNHead': 'reads and supervises each unit inside each stage of MSPN and RSN'}
)
#: Necks that only choose, join or enlarge maps, which HRNet's streams need not.
_MAP_PROCESSOR = 'FeatureMapProcessor'
_POOLING = 'GlobalAveragePooling'


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under a pose estimator, in place.

    Heatmaps come from the stream of their own stride, without the deconvolutions that others need to climb
    there; coordinates and coordinate classes from the stream of the stride that their head was made for.

    Raises:
        SwapRefused: a part of the estimator cannot do without its backbone.
    """
    model = cfg.model
    _refuse_bound(model)
    pretrained = has_weights(model, load_from=cfg.get('load_from'))
    old = dict(model['backbone'])
    rescorer = (model['head'].get('rescore_cfg') or {}).get('init_cfg')
    streams = _fit(model, request)
    _fit_heatmaps(cfg, streams)
    drop_weights(model)
    if rescorer is not None:
        # it scores keypoints, whatever network they come from
        model['head']['rescore_cfg']['init_cfg'] = rescorer
    model['backbone'] = hrnet_backbone(old, request, scope=_SCOPE, pretrained=pretrained, streams=streams)
    if 'init_cfg' in model['backbone']:
        use_imagenet_colours(model)


def _refuse_bound(model: Mapping[str, Any]) -> None:
    for key, reason in _BOUND_PARTS.items():
        if key in model:
            raise SwapRefused(part=f'model.{key}', reason=reason)
    for key, table in (('backbone', _BOUND_BACKBONES), ('head', _BOUND_HEADS)):
        part = model.get(key)
        if not isinstance(part, dict):
            raise SwapRefused(part='model', reason=f'{model.get("type")} has no {key}')
        if part.get('type') in table:
            raise SwapRefused(part=f'model.{key}', reason=f'{part["type"]} {table[part["type"]]}')


def _fit(model: dict[str, Any], request: SwapRequest) -> tuple[int, ...]:
    """Adapt whatever reads the backbone; gives the streams that it reads."""
    neck = model.get('neck')
    if isinstance(neck, dict) and 'in_channels' in neck:
        return _fit_pyramid(model, neck, request)
    if request.necks == 'hrfpn':
        raise SwapRefused(part='model.neck', reason='there is no pyramid that HRFPN could replace')
    if request.necks == 'v2' or _joins_maps(neck):
        return _fit_all_streams(model, neck, request)
    fit = _fit_of(model['head'])
    (stream,) = fit.streams(model['head'], part='model.head')
    fit.adapt(model['head'], hrnet_levels(request.arch).channels[stream], stream)
    if neck is not None and neck.get('type') == _MAP_PROCESSOR:
        model['neck'] = None
    return (stream,)


def _fit_of(head: Mapping[str, Any]) -> Fit:
    kind = str(head.get('type'))
    if kind not in FITS:
        raise SwapRefused(part='model.head', reason=f'{kind} is not known to read a backbone directly')
    return FITS[kind]


def _joins_maps(neck: Any) -> bool:
    return isinstance(neck, dict) and neck.get('type') == _MAP_PROCESSOR and bool(neck.get('concat'))


def _fit_all_streams(model: dict[str, Any], neck: Any, request: SwapRequest) -> tuple[int, ...]:
    """HRNetV2: all streams enlarged and joined, 15C channels at stride 4."""
    head, channels = model['head'], hrnet_levels(request.arch).channels
    fit = _fit_of(head)
    if neck is not None and neck.get('type') == _POOLING:
        # mmpose takes no row of necks, and the pooling has to stay
        raise SwapRefused(part='model.neck', reason='the head reads a pooled map; ask for --necks keep')
    streams = fit.streams(head, part='model.head')
    if streams != (0,):
        raise SwapRefused(
            part='model.head',
            reason='reads a map coarser than stride 4, where all streams join; ask for --necks keep',
        )
    fit.adapt(head, sum(channels), 0)
    if request.necks == 'v2':
        model['neck'] = {'type': 'HRNetV2Neck', 'in_channels': list(channels)}
    else:
        model['neck'].pop('select_index', None)
    return _ALL


def _fit_heatmaps(cfg: Config, streams: tuple[int, ...]) -> None:
    """Where a backbone lost a border (AlexNet's), heatmaps grow to HRNet's size, wherever they are named."""
    decoder = cfg.model['head'].get('decoder') or {}
    if 'heatmap_size' not in decoder or len(decoder['heatmap_size']) != len(decoder.get('input_size', ())):
        return
    old, stride = decoder['heatmap_size'], STRIDES[streams[0]]
    new = like(old, [-(-side // stride) for side in decoder['input_size']])
    if decoder['input_size'][0] / old[0] > stride:
        for node in _dicts(cfg._cfg_dict):
            if node.get('heatmap_size') == old:
                node['heatmap_size'] = new


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list, tuple)):
            yield from _dicts(value)


def _fit_pyramid(model: dict[str, Any], neck: dict[str, Any], request: SwapRequest) -> tuple[int, ...]:
    if request.necks == 'v2':
        raise SwapRefused(
            part='model.neck',
            reason='the head reads maps at several strides, HRNetV2Neck gives a single one; ask for keep',
        )
    levels = backbone_levels(model['backbone'], scope=_SCOPE)
    if request.necks == 'hrfpn':
        model['neck'] = hrfpn_for(neck, levels, request, part='model.neck')
        return _ALL
    streams = fit_neck(neck, levels, request, part='model.neck')
    if neck.get('out_channels', _KEPT) is None:
        # CSPNeXtPAFPN leaves the widths as they are
        model['head']['in_channels'] = neck['in_channels'][-1]
    return streams


_KEPT = -1
