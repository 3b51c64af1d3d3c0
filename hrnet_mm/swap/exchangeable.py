"""Which detectors and segmentors have a CNN backbone that another could replace, as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

#: The codebases the share is taken over.
CODEBASES = ('mmdet', 'mmseg')

#: Convolutional backbones that turn an image into feature maps, of mmdet's and mmseg's configs.
CNN_BACKBONES = frozenset(
    {
        'BiSeNetV1',
        'BiSeNetV2',
        'CGNet',
        'CSPDarknet',
        'CSPNeXt',
        'ConvNeXt',
        'DDRNet',
        'Darknet',
        'DetectoRS_ResNet',
        'ERFNet',
        'EfficientNet',
        'FastSCNN',
        'HRNet',
        'HourglassNet',
        'ICNet',
        'MSCAN',
        'MobileNetV2',
        'MobileNetV3',
        'PIDNet',
        'RegNet',
        'Res2Net',
        'ResNeSt',
        'ResNeXt',
        'ResNet',
        'ResNetV1c',
        'SSDVGG',
        'STDCContextPathNet',
        'TIMMBackbone',
        'TridentResNet',
        'UNet',
    }
)

#: What makes a model something else than a detector or segmentor of single images -> what it is.
OTHER_MODELS: Mapping[str, str] = MappingProxyType(
    {
        'tracker': 'tracks through a video',
        'track_head': 'tracks through a video',
        'language_model': 'reads text',
        'text_encoder': 'reads text',
    }
)
OTHER_TYPES: Mapping[str, str] = MappingProxyType(
    {
        'BaseReID': 'recognises people',
        'ImageClassifier': 'classifies whole images',
        'DepthEstimator': 'estimates depth',
        'Mask2FormerVideo': 'segments a video',
    }
)


def has_exchangeable_cnn(model: Mapping[str, Any]) -> bool:
    """Whether a model detects or segments in single images with a CNN as its backbone.

    Nothing is left out for being hard: distillers, semi-supervised models and heads tied to one CNN count.
    """
    if any(key in model for key in OTHER_MODELS) or model.get('type') in OTHER_TYPES:
        return False
    backbone = model.get('backbone')
    if isinstance(backbone, Mapping):
        return str(backbone.get('type')).rpartition('.')[2] in CNN_BACKBONES
    inner = model.get('detector')
    return isinstance(inner, Mapping) and has_exchangeable_cnn(inner)
