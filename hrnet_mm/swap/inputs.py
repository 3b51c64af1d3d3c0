"""Random images with random but valid annotations: what all codebases share, mmseg's and mmpretrain's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from ..analysis.shapes import shape_of
from ..config.codebases import CODEBASES
from ..utils import iter_dicts

Size = tuple[int, int]
Batch = dict[str, Any]

#: Corners of the boxes as shares of width and height: large, middling and small ones, so that every level
#: of a pyramid finds some of its own.
_BOXES = ((0.02, 0.05, 0.95, 0.9), (0.1, 0.3, 0.6, 0.75), (0.5, 0.1, 0.8, 0.5), (0.3, 0.6, 0.5, 0.8))
_SHAKE = 0.02
_MAX_DEPTH = 10.0  # metres
_SEVERAL_LABELS = ('MultiLabel', 'CSRA')  # in the names of heads for which several labels may hold


class RandomInputs:
    """The random inputs of one codebase's models.

    Args:
        cfg: A config; ``prepare`` changes it.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg

    def sizes(self) -> Sequence[Size]:
        """Heights and widths of images to try, small ones first: some models only bear larger ones."""
        raise NotImplementedError

    def prepare(self, size: Size) -> None:
        """Make ``cfg.model`` take images of this height and width as they are, in place.

        Only padding and augmentation of batches go, and limits that decide about nothing but time.
        """

    def batch(self, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> Batch:
        """What a data loader would give, before the data preprocessor: ``inputs`` and ``data_samples``.

        ``count`` images of this height and width, with annotations of the config's classes or keypoints; what
        only losses look at may be missing if it is not for ``training``.
        """
        raise NotImplementedError


def random_inputs(cfg: Config) -> RandomInputs:
    """The random inputs for a config's model."""
    inputs: RandomInputs = CODEBASES[str(cfg.default_scope)].function('swap_inputs')(cfg)
    return inputs


def random_image(rng: np.random.Generator, size: Size, *, channels: int = 3) -> Tensor:
    """(channels, H, W), bytes."""
    return torch.from_numpy(rng.integers(0, 256, (channels, *size), dtype=np.uint8))


def random_boxes(rng: np.random.Generator, size: Size) -> np.ndarray:
    """(4, 4), x1 y1 x2 y2 in pixels, inside the image and each at least some pixels wide."""
    height, width = size
    shares = np.array(_BOXES) + rng.uniform(-_SHAKE, _SHAKE, (len(_BOXES), 4))
    return (shares.clip(0, 1) * [width, height, width, height]).astype(np.float32)


def image_facts(size: Size) -> dict[str, Any]:
    """What data samples say of an image that nothing has altered."""
    return {
        'img_path': 'random.png',
        'img_shape': size,
        'ori_shape': size,
        'flip': False,
        'flip_direction': None,
    }


def values_of(node: Any, *keys: str) -> Iterator[Any]:
    """The values under some keys, at any depth of nested dicts and lists."""
    for _, inner in iter_dicts(node):
        yield from (value for key, value in inner.items() if key in keys)


def transforms_of(cfg: Config) -> Iterator[dict[str, Any]]:
    """The transforms of the training pipeline, nested ones and those of wrapped data sets included."""
    for pipeline in [*values_of(cfg.get('train_dataloader'), 'pipeline'), cfg.get('train_pipeline')]:
        yield from (step for _, step in iter_dicts(pipeline) if isinstance(step.get('type'), str))


class SegmentationInputs(RandomInputs):
    """For mmseg's segmentors and depth estimators: maps of classes, of class borders and of depths."""

    def sizes(self) -> Sequence[Size]:
        return (64, 64), (128, 128), (256, 256)

    def prepare(self, size: Size) -> None:
        preprocessor = self.cfg.model.get('data_preprocessor')
        if isinstance(preprocessor, dict):
            preprocessor |= {'size': size, 'size_divisor': None, 'test_cfg': None}

    def batch(self, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> Batch:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        facts = image_facts(size) | {
            'pad_shape': size,
            'scale_factor': (1.0, 1.0),
            'reduce_zero_label': False,
        }
        classes, samples, images = self._classes(), [], []
        for _ in range(count):
            images.append(random_image(rng, size, channels=self.cfg.model.backbone.get('in_channels', 3)))
            sample = SegDataSample(metainfo=facts)
            sample.gt_sem_seg = PixelData(data=torch.from_numpy(rng.integers(0, classes, (1, *size))))
            sample.gt_edge_map = PixelData(data=torch.from_numpy(rng.integers(0, 2, (1, *size))))
            depths = rng.uniform(0.1, _MAX_DEPTH, (1, *size)).astype(np.float32)
            sample.gt_depth_map = PixelData(data=torch.from_numpy(depths))
            samples.append(sample)
        return {'inputs': images, 'data_samples': samples}

    def _classes(self) -> int:
        """How many different labels all the heads understand."""
        heads = [self.cfg.model.get('decode_head'), self.cfg.model.get('auxiliary_head')]
        flat = [head for group in heads for head in (group if isinstance(group, (list, tuple)) else [group])]
        counts = [head['num_classes'] for head in flat if head and isinstance(head.get('num_classes'), int)]
        return max(2, min(counts, default=2))


class ClassificationInputs(RandomInputs):
    """For mmpretrain's classifiers: a label, and its scores where several labels may hold at once."""

    def sizes(self) -> Sequence[Size]:
        if self.cfg.model.get('backbone', {}).get('type') == 'HRNetBackbone':
            return ((64, 64),)
        # other networks only run at the size of their config; some resize the whole image and crop nothing
        scales = [n for n in values_of(self.cfg.get('test_dataloader'), 'scale') if isinstance(n, int)]
        return ((scales[-1], scales[-1]) if scales else shape_of(self.cfg),)

    def batch(self, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> Batch:
        from mmpretrain.structures import DataSample

        model = self.cfg.model
        classes = next((n for n in values_of(model, 'num_classes') if isinstance(n, int)), 1)
        several = any(kind in str(model.get('head', {}).get('type')) for kind in _SEVERAL_LABELS)
        preprocessor = model.get('data_preprocessor') or self.cfg.get('data_preprocessor') or {}
        # LeNet says nowhere but in the preprocessor that its images are grey
        channels = model.backbone.get('in_channels') or len(preprocessor.get('mean') or [0] * 3)
        samples = []
        for _ in range(count):
            label = int(rng.integers(classes))
            sample = DataSample(metainfo={'img_shape': size, 'ori_shape': size})
            sample.set_gt_label([label] if several else label)
            if several:
                sample.set_gt_score(torch.nn.functional.one_hot(torch.tensor(label), classes).float())
            samples.append(sample)
        images = torch.stack([random_image(rng, size, channels=channels) for _ in range(count)])
        return {'inputs': images, 'data_samples': samples}
