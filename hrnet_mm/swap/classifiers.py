"""HRNet under mmpretrain's image classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mmengine.config import Config

from .levels import hrnet_levels
from .new_backbone import hrnet_backbone, is_int
from .old_weights import drop_weights, has_weights, use_imagenet_colours
from .refusal import SwapRefused
from .request import SwapRequest

_SCOPE = 'mmpretrain'
_CLASSIFIER = 'ImageClassifier'
_ALL = (0, 1, 2, 3)
_WIDTH = 2048  # of HRNetClassificationNeck
_POOLING: Mapping[str, Any] = MappingProxyType({'type': 'GlobalAveragePooling'})

#: What a model that is no classifier has -> why it stands in the way. The first key found counts.
_BOUND_PARTS: Mapping[str, str] = MappingProxyType(
    {
        'tokenizer': 'a text-image model, whose image encoder was trained with its text encoder',
        'target_generator': 'pretraining, which teaches its own backbone to predict masked patches',
        'prototype': "a retriever, whose gallery of images is held in its own encoder's features",
        'base_momentum': 'pretraining of its own backbone against a moving average of itself',
        'queue_len': 'pretraining of its own backbone against a queue of its own features',
        'mask_ratio': 'pretraining, whose sparse backbone skips masked patches',
    }
)
_PRETRAINING = 'pretraining without labels, whose neck and loss belong to its own backbone'

#: Head that cannot read a pooled map -> why.
_BOUND_HEADS: Mapping[str, str] = MappingProxyType(
    {
        'ConformerHead': "reads a convolutional and a transformer branch, Conformer's two",
        'DeiTClsHead': 'reads a class token and a distillation token',
    }
)
_BOUND_BACKBONES: Mapping[str, str] = MappingProxyType(
    {'LoRAModel': 'adds low-rank weights to the attention of the transformer inside'}
)
#: Head that only compares scores, because the backbone makes them -> the one with a layer that makes them.
_LINEAR_FORMS: Mapping[str, str] = MappingProxyType(
    {'ClsHead': 'LinearClsHead', 'MultiLabelClsHead': 'MultiLabelLinearClsHead'}
)
#: Heads that learn from a teacher's predictions unless told otherwise, for which mmpretrain has no teacher.
_DISTILLED = ('EfficientFormerClsHead', 'LeViTClsHead')
#: Necks that only pool, and HRNet's, which ends in a map to be pooled.
_POOLS, _FUSES = 'GlobalAveragePooling', 'HRFuseScales'
_NORMALISES = 'ClsBatchNormNeck'
#: Heads that read a map, not a vector.
_READS_MAP = ('CSRAClsHead',)
_CLASSES = 1000  # ImageNet's, mmpretrain's default


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under an image classifier, in place.

    The streams go through the paper's classification head up to its last map (``HRNetClassificationNeck``,
    2048 channels) and global average pooling; a linear head stays, and reads them.

    Raises:
        SwapRefused: a part of the model cannot do without its backbone.
    """
    model = cfg.model
    _refuse_bound(model, request)
    pretrained = has_weights(model, load_from=cfg.get('load_from'))
    old = dict(model['backbone']) | _image_channels(cfg)
    _fit_head(model, _fit_neck(model, request), cfg)
    drop_weights(model)
    model['backbone'] = hrnet_backbone(old, request, scope=_SCOPE, pretrained=pretrained, streams=_ALL)
    if 'init_cfg' in model['backbone']:
        # mmpretrain keeps the preprocessor beside the model
        use_imagenet_colours(model)
        use_imagenet_colours({'data_preprocessor': cfg.get('data_preprocessor')})


def _refuse_bound(model: Mapping[str, Any], request: SwapRequest) -> None:
    if model.get('type') != _CLASSIFIER:
        part, reason = next(
            ((f'model.{key}', reason) for key, reason in _BOUND_PARTS.items() if key in model),
            ('model.head' if 'head' in model else 'model', _PRETRAINING),
        )
        raise SwapRefused(part=part, reason=f'{model.get("type")} is {reason}')
    head = model.get('head')
    if not isinstance(head, dict):
        raise SwapRefused(part='model.head', reason='there is none, and so nothing to train HRNet for')
    for key, table in (('head', _BOUND_HEADS), ('backbone', _BOUND_BACKBONES)):
        kind = model[key].get('type')
        if kind in table:
            raise SwapRefused(part=f'model.{key}', reason=f'{kind} {table[kind]}')
    if request.necks == 'hrfpn':
        raise SwapRefused(part='model.neck', reason='a classifier has no pyramid that HRFPN could replace')
    if head.get('type') in _READS_MAP and model.get('neck'):
        raise SwapRefused(part='model.neck', reason=f'{head["type"]} is not known to read one')


def _fit_neck(model: dict[str, Any], request: SwapRequest) -> int:
    """Gather the streams, and pool them if they were pooled; gives the channels at the end."""
    channels = list(hrnet_levels(request.arch).channels)
    necks = model.get('neck') or []
    necks = [dict(neck) for neck in (necks if isinstance(necks, (list, tuple)) else [necks])]
    gather, width = _gathering(necks, channels, request)
    rest = [neck | {'input_features': width} for neck in necks if neck['type'] == _NORMALISES]
    unknown = {neck['type'] for neck in necks} - {_POOLS, _FUSES, _NORMALISES}
    if unknown:
        raise SwapRefused(
            part='model.neck', reason=f'{", ".join(sorted(unknown))} is not known to follow HRNet'
        )
    pooling = [] if model['head']['type'] in _READS_MAP else [dict(_POOLING)]
    chain = [gather, *pooling, *rest]
    model['neck'] = chain if len(chain) > 1 else gather
    return width


def _gathering(
    necks: list[dict[str, Any]], channels: list[int], request: SwapRequest
) -> tuple[dict[str, Any], int]:
    """The neck that makes one map of the streams, and its channels."""
    if request.necks == 'v2':
        return {'type': 'HRNetV2Neck', 'in_channels': channels}, sum(channels)
    fuses = next((neck for neck in necks if neck['type'] == _FUSES), None)
    if fuses is not None:
        return fuses | {'in_channels': tuple(channels)}, _WIDTH
    return {'type': 'HRNetClassificationNeck', 'in_channels': channels}, _WIDTH


def _fit_head(model: dict[str, Any], width: int, cfg: Config) -> None:
    head = model['head']
    linear = _LINEAR_FORMS.get(head['type'])
    if linear is not None:
        head |= {'type': linear, 'num_classes': _classes(model['backbone'], cfg)}
    elif 'in_channels' not in head:
        raise SwapRefused(part='model.head', reason=f'{head["type"]} is not known to read a pooled map')
    if head['type'] in _DISTILLED:
        head['distillation'] = False
    if head.get('deploy'):
        head['deploy'] = False  # there is nothing to fuse before it is trained
    head['in_channels'] = width


def _classes(backbone: Mapping[str, Any], cfg: Config) -> int:
    """Classes of a backbone that classified by itself."""
    found = [part.get('num_classes') for part in (backbone, cfg.get('data_preprocessor') or {})]
    return next((int(n) for n in found if n is not None and is_int(n) and n > 0), _CLASSES)


def _image_channels(cfg: Config) -> dict[str, int]:
    """Grey images are told by the preprocessor alone where the backbone takes nothing else (LeNet)."""
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    mean = preprocessor.get('mean')
    return {'in_channels': 1} if mean is not None and len(mean) == 1 else {}
