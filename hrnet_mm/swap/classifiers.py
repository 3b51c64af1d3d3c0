"""HRNet under mmpretrain's image classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mmengine.config import Config

from .backbones import STREAMS, put_hrnet, stream_channels, use_imagenet_colours
from .request import SwapRefused, SwapRequest, refuse_bound

_WIDTH = 2048  # of HRNetClassificationNeck
_CLASSES = 1000  # ImageNet's, mmpretrain's default

#: What a model that is no classifier has -> why it stands in the way. The first key found counts.
_BOUND_KEYS: Final[Mapping[str, str]] = {
    'tokenizer': 'a text-image model, whose image encoder was trained with its text encoder',
    'target_generator': 'pretraining, which teaches its own backbone to predict masked patches',
    'prototype': "a retriever, whose gallery of images is held in its own encoder's features",
    'base_momentum': 'pretraining of its own backbone against a moving average of itself',
    'queue_len': 'pretraining of its own backbone against a queue of its own features',
    'mask_ratio': 'pretraining, whose sparse backbone skips masked patches',
}
_PRETRAINING = 'pretraining without labels, whose neck and loss belong to its own backbone'
#: Parts of classifiers: a head that cannot read a pooled map, a backbone that no other can replace -> why.
_BOUND_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    'head': {
        'ConformerHead': "ConformerHead reads a convolutional and a transformer branch, Conformer's two",
        'DeiTClsHead': 'DeiTClsHead reads a class token and a distillation token',
    },
    'backbone': {'LoRAModel': 'LoRAModel adds low-rank weights to the attention of the transformer inside'},
}
#: Head that only compares scores, because the backbone makes them -> the one with a layer that makes them.
_LINEAR_FORMS: Final[Mapping[str, str]] = {
    'ClsHead': 'LinearClsHead',
    'MultiLabelClsHead': 'MultiLabelLinearClsHead',
}
#: Heads that learn from a teacher's predictions unless told otherwise, for which mmpretrain has no teacher.
_DISTILLED = ('EfficientFormerClsHead', 'LeViTClsHead')
#: Heads that read a map, not a vector.
_READS_MAP = ('CSRAClsHead',)
#: Necks that only pool, HRNet's own, which ends in a map to be pooled, and one that only normalises.
_POOLS, _FUSES, _NORMALISES = 'GlobalAveragePooling', 'HRFuseScales', 'ClsBatchNormNeck'


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under an image classifier, in place.

    The streams go through the paper's classification head up to its last map (``HRNetClassificationNeck``,
    2048 channels) and global average pooling; a linear head stays, and reads them.

    Raises:
        SwapRefused: a part of the model cannot do without its backbone.
    """
    model = cfg.model
    _refuse_others(model, request)
    # mmpretrain may keep the preprocessor beside the model
    preprocessor = model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    old = dict(model['backbone'])
    if len(preprocessor.get('mean') or ()) == 1:
        old['in_channels'] = 1  # LeNet says nowhere else that its images are grey
    _fit_head(model, _fit_neck(model, request), cfg)
    put_hrnet(cfg, request, streams=STREAMS, old=old)
    if 'init_cfg' in model['backbone']:
        use_imagenet_colours({'data_preprocessor': cfg.get('data_preprocessor')})


def _refuse_others(model: Mapping[str, Any], request: SwapRequest) -> None:
    kind, head = model.get('type'), model.get('head')
    if kind != 'ImageClassifier':
        part, reason = next(
            ((f'model.{key}', reason) for key, reason in _BOUND_KEYS.items() if key in model),
            ('model.head' if 'head' in model else 'model', _PRETRAINING),
        )
        raise SwapRefused(part, f'{kind} is {reason}')
    if not isinstance(head, dict):
        raise SwapRefused('model.head', 'there is none, and so nothing to train HRNet for')
    refuse_bound(model, keys={}, types=_BOUND_TYPES)
    if request.necks == 'hrfpn':
        raise SwapRefused('model.neck', 'a classifier has no pyramid that HRFPN could replace')
    if head.get('type') in _READS_MAP and model.get('neck'):
        raise SwapRefused('model.neck', f'{head["type"]} is not known to read one')


def _fit_neck(model: dict[str, Any], request: SwapRequest) -> int:
    """Gather the streams, and pool them if they were pooled; gives the channels at the end."""
    channels = list(stream_channels(request.arch))
    necks = model.get('neck') or []
    necks = [dict(neck) for neck in (necks if isinstance(necks, (list, tuple)) else [necks])]
    unknown = {neck['type'] for neck in necks} - {_POOLS, _FUSES, _NORMALISES}
    if unknown:
        raise SwapRefused('model.neck', f'{", ".join(sorted(unknown))} is not known to follow HRNet')
    fuses = next((neck for neck in necks if neck['type'] == _FUSES), None)
    if request.necks == 'v2':
        gather, width = {'type': 'HRNetV2Neck', 'in_channels': channels}, sum(channels)
    elif fuses is not None:
        gather, width = {**fuses, 'in_channels': tuple(channels)}, _WIDTH
    else:
        gather, width = {'type': 'HRNetClassificationNeck', 'in_channels': channels}, _WIDTH
    pooling = [] if model['head']['type'] in _READS_MAP else [{'type': _POOLS}]
    normalising = [{**neck, 'input_features': width} for neck in necks if neck['type'] == _NORMALISES]
    chain = [gather, *pooling, *normalising]
    model['neck'] = chain if len(chain) > 1 else gather
    return width


def _fit_head(model: dict[str, Any], width: int, cfg: Config) -> None:
    head = model['head']
    linear = _LINEAR_FORMS.get(head['type'])
    if linear is not None:
        # the backbone classified by itself
        counts = [part.get('num_classes') for part in (model['backbone'], cfg.get('data_preprocessor') or {})]
        head['type'] = linear
        head['num_classes'] = next((n for n in counts if isinstance(n, int) and n > 0), _CLASSES)
    elif 'in_channels' not in head:
        raise SwapRefused('model.head', f'{head["type"]} is not known to read a pooled map')
    if head['type'] in _DISTILLED:
        head['distillation'] = False
    if head.get('deploy'):
        head['deploy'] = False  # there is nothing to fuse before it is trained
    head['in_channels'] = width
