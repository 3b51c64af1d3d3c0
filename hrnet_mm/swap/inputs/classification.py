"""Random inputs of mmpretrain's image classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ...analysis.shapes import shape_of
from .shapes import Size, random_image, values_of

_SMALL: Size = (64, 64)
_OURS = 'HRNetBackbone'
_SEVERAL_LABELS = ('MultiLabel', 'CSRA')  # in the names of heads for which several labels may hold


def sizes(cfg: Config) -> tuple[Size, ...]:
    """HRNet runs at any size, other networks only at that of their config."""
    if cfg.model.get('backbone', {}).get('type') == _OURS:
        return (_SMALL,)
    # some resize the whole image and crop nothing
    scales = [scale for scale in values_of(cfg.get('test_dataloader'), 'scale') if isinstance(scale, int)]
    return ((scales[-1], scales[-1]) if scales else shape_of(cfg),)


def prepare(cfg: Config, size: Size) -> None:
    """Nothing enlarges the images."""


def batch(cfg: Config, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> dict[str, Any]:
    """Images with one label each, or a label and its scores where several labels may hold at once."""
    from mmpretrain.structures import DataSample

    classes = next((n for n in values_of(cfg.model, 'num_classes') if isinstance(n, int)), 1)
    several = any(kind in str(cfg.model.get('head', {}).get('type')) for kind in _SEVERAL_LABELS)
    channels = cfg.model.backbone.get('in_channels') or _channels(cfg)
    samples = []
    for _ in range(count):
        label = int(rng.integers(classes))
        sample = DataSample(metainfo={'img_shape': size, 'ori_shape': size})
        if several:
            sample.set_gt_label([label])
            sample.set_gt_score(torch.nn.functional.one_hot(torch.tensor(label), classes).float())
        else:
            sample.set_gt_label(label)
        samples.append(sample)
    images = torch.stack([random_image(rng, size, channels=channels) for _ in range(count)])
    return {'inputs': images, 'data_samples': samples}


def _channels(cfg: Config) -> int:
    """As many as the preprocessor normalises: LeNet says nowhere else that its images are grey."""
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    return len(preprocessor.get('mean') or [0] * 3)


def depends_on(cfg: Config) -> Any:
    """The preprocessor, which mmpretrain keeps beside the model."""
    return cfg.get('data_preprocessor')
