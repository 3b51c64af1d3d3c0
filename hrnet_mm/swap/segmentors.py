"""HRNet under mmseg's segmentors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from .level_necks import fit_neck, hrfpn_for
from .levels import backbone_levels, hrnet_levels
from .new_backbone import hrnet_backbone
from .old_weights import drop_weights, has_weights, use_imagenet_colours
from .refusal import SwapRefused
from .request import SwapRequest
from .segmentation_heads import (
    Heads,
    LazyLevels,
    fit_to_one_map,
    fit_to_pyramid,
    fit_to_streams,
    reads_one_map,
)

_SCOPE = 'mmseg'
_ALL = (0, 1, 2, 3)
_PYRAMID_WIDTH = 256

_TEXT = 'a text-image model, whose decoder was trained with its own image encoder'
_TOKENS = 'reads the tokens of a plain vision transformer, all of one size'

#: Key of a model that no other backbone can serve -> why.
_BOUND_PARTS: Mapping[str, str] = MappingProxyType({'text_encoder': _TEXT, 'image_encoder': _TEXT})
#: Type of a part that no other backbone can serve -> why.
_BOUND_TYPES: Mapping[str, str] = MappingProxyType(
    {
        'VPD': 'a text-to-image diffusion model, whose attention maps the head reads',
        'ICNet': 'ICNet runs the image at three sizes through layers of its own ResNet',
        'ICNeck': 'ICNeck fuses the three image sizes of ICNet',
        'DDRHead': "DDRHead supervises DDRNet's two branches, which exist in training only",
        'PIDHead': "PIDHead reads PIDNet's three branches, which exist in training only",
        'LRASPPHead': 'LRASPPHead pools windows of 49 by 49 cells, made for a deepest map at stride 8',
        'SETRUPHead': _TOKENS,
        'SETRMLAHead': _TOKENS,
        'MLANeck': _TOKENS,
        'DPTHead': _TOKENS,
        'SegmenterMaskTransformerHead': _TOKENS,
    }
)
#: Necks that make a pyramid of maps of one size; HRNet gives a pyramid by itself.
_PYRAMID_MAKERS = ('MultiLevelNeck', 'Feature2Pyramid')
#: Heads that list several maps and read the last alone.
_LAST_OF_MANY = ('EncHead',)


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under a segmentor, in place.

    Heads that read one map read all streams, as mmseg's own HRNet configs do it; heads that read several
    maps read one stream for each.

    Raises:
        SwapRefused: a part of the segmentor cannot do without its backbone.
    """
    model = cfg.model
    heads = tuple(_heads(model))
    _refuse_bound(model, heads)
    pretrained = has_weights(model, load_from=cfg.get('load_from'))
    old = model['backbone']
    streams = _fit(model, heads, request)
    drop_weights(model)
    model['backbone'] = hrnet_backbone(old, request, scope=_SCOPE, pretrained=pretrained, streams=streams)
    if 'init_cfg' in model['backbone']:
        use_imagenet_colours(model)


def _heads(model: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for key in ('decode_head', 'auxiliary_head'):
        value = model.get(key)
        if isinstance(value, dict):
            yield f'model.{key}', value
        elif isinstance(value, (list, tuple)):
            yield from ((f'model.{key}[{i}]', head) for i, head in enumerate(value))


def _refuse_bound(model: Mapping[str, Any], heads: Heads) -> None:
    for key, reason in _BOUND_PARTS.items():
        if key in model:
            raise SwapRefused(part=f'model.{key}', reason=reason)
    necks = [('model.neck', model['neck'])] if isinstance(model.get('neck'), dict) else []
    for part, module in (('model.backbone', model.get('backbone') or {}), *necks, *heads):
        if module.get('type') in _BOUND_TYPES:
            raise SwapRefused(part=part, reason=_BOUND_TYPES[module['type']])
    if not isinstance(model.get('backbone'), dict):
        raise SwapRefused(part='model', reason=f'{model.get("type")} has no backbone')
    if not heads:
        raise SwapRefused(part='model', reason=f'{model.get("type")} has no decode_head')


def _fit(model: dict[str, Any], heads: Heads, request: SwapRequest) -> tuple[int, ...]:
    """Adapt whatever reads the backbone; gives the streams that it reads."""
    backbone = dict(model['backbone'])
    levels = cache(lambda: backbone_levels(backbone, scope=_SCOPE))  # many heads need not know
    neck = model.get('neck')
    if neck is not None and neck['type'] in _PYRAMID_MAKERS:
        neck = model['neck'] = None
    if request.necks == 'v2':
        return _fit_v2(model, heads, request)
    if request.necks == 'hrfpn':
        return _fit_hrfpn(model, heads, levels, request)
    if neck is not None:
        streams = fit_neck(neck, levels(), request, part='model.neck')
        if neck['type'] == 'JPU':
            _fit_behind_jpu(neck, heads)
        return streams
    if any(_reads_last_of_many(head) for _, head in heads):
        return _fit_v2(model, heads, request)
    return fit_to_streams(heads, levels, request)


def _reads_last_of_many(head: Mapping[str, Any]) -> bool:
    return head['type'] in _LAST_OF_MANY and not head.get('add_lateral')


def _fit_v2(model: dict[str, Any], heads: Heads, request: SwapRequest) -> tuple[int, ...]:
    for part, head in heads:
        if not reads_one_map(head) and not _reads_last_of_many(head):
            raise SwapRefused(
                part=part,
                reason=f'{head["type"]} reads several maps, HRNetV2Neck gives one; '
                'ask for --necks keep or hrfpn',
            )
    channels = hrnet_levels(request.arch).channels
    neck: dict[str, Any] = {'type': 'HRNetV2Neck', 'in_channels': list(channels)}
    if isinstance(model['backbone'].get('norm_cfg'), dict):
        neck['norm_cfg'] = dict(heads[0][1].get('norm_cfg') or {'type': 'BN'})
    if heads[0][1].get('align_corners'):
        neck['align_corners'] = True
    model['neck'] = neck
    for _, head in heads:
        fit_to_one_map(head, channels=sum(channels))
    return _ALL


def _fit_hrfpn(
    model: dict[str, Any], heads: Heads, levels: LazyLevels, request: SwapRequest
) -> tuple[int, ...]:
    part, head = heads[0]
    neck = model.get('neck')
    if neck is not None:
        model['neck'] = hrfpn_for(neck, levels(), request, part='model.neck')
        return _ALL
    if reads_one_map(head):
        raise SwapRefused(
            part=part,
            reason=f'{head["type"]} reads one map, HRFPN gives a pyramid; ask for --necks keep or v2',
        )
    model['neck'] = {
        'type': 'hrnet_mm.HRFPN',
        'in_channels': list(hrnet_levels(request.arch).channels),
        'out_channels': _PYRAMID_WIDTH,
        'num_outs': len(_ALL),
    }
    fit_to_pyramid(heads, levels, width=_PYRAMID_WIDTH)
    return _ALL


def _fit_behind_jpu(neck: Mapping[str, Any], heads: Heads) -> None:
    """JPU hands on the backbone's maps, except that the last is its own: their widths reach the heads."""
    raw = dict(enumerate(neck['in_channels'][neck.get('start_level', 0) : -1]))
    for _, head in heads:
        index, channels = head.get('in_index', -1), head['in_channels']
        if isinstance(channels, int):
            head['in_channels'] = raw.get(index, channels)
        else:
            head['in_channels'] = type(channels)(raw.get(i, c) for i, c in zip(index, channels, strict=True))
