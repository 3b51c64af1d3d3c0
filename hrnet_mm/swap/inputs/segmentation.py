"""Random inputs of mmseg's segmentors and depth estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from .shapes import Size, random_image

_SIZES: tuple[Size, ...] = ((64, 64), (128, 128), (256, 256))
_MAX_DEPTH = 10.0  # metres


def sizes(cfg: Config) -> tuple[Size, ...]:
    """The smaller ones."""
    return _SIZES


def prepare(cfg: Config, size: Size) -> None:
    """Pad batches to the size of the small images, not to the config's crop."""
    preprocessor = cfg.model.get('data_preprocessor')
    if isinstance(preprocessor, dict):
        preprocessor['size'] = size
        preprocessor['size_divisor'] = None
        preprocessor['test_cfg'] = None


def batch(cfg: Config, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> dict[str, Any]:
    """Images with a map of classes, one of class borders and one of depths."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    labels = _labels(cfg.model)
    samples, images = [], []
    for _ in range(count):
        images.append(random_image(rng, size, channels=cfg.model.backbone.get('in_channels', 3)))
        sample = SegDataSample(metainfo=_meta(size))
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(rng.integers(0, labels, (1, *size))))
        sample.gt_edge_map = PixelData(data=torch.from_numpy(rng.integers(0, 2, (1, *size))))
        depths = rng.uniform(0.1, _MAX_DEPTH, (1, *size)).astype(np.float32)
        sample.gt_depth_map = PixelData(data=torch.from_numpy(depths))
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}


def depends_on(cfg: Config) -> Any:
    """Nothing but the model."""
    return None


def _meta(size: Size) -> dict[str, Any]:
    return {
        'img_shape': size,
        'ori_shape': size,
        'pad_shape': size,
        'scale_factor': (1.0, 1.0),
        'flip': False,
        'flip_direction': None,
        'img_path': 'random.png',
        'reduce_zero_label': False,
    }


def _labels(model: Any) -> int:
    """How many different labels all the heads understand."""
    heads = [model.get('decode_head'), model.get('auxiliary_head')]
    flat = [head for group in heads for head in (group if isinstance(group, (list, tuple)) else [group])]
    counts = [head['num_classes'] for head in flat if head and isinstance(head.get('num_classes'), int)]
    return max(2, min(counts, default=2))
