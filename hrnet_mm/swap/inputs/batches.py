"""The one door to random inputs: which codebase makes its own, and of what size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.config import Config

from .shapes import Size

Batch = dict[str, Any]


@dataclass(frozen=True)
class Batches:
    """What data loaders would give: ``inputs`` and ``data_samples``, before the data preprocessor.

    Attributes:
        train: Two images with everything that a loss may look at.
        test: One image.
    """

    train: Batch
    test: Batch


#: Codebase -> module of ours that makes its inputs, with ``sizes``, ``prepare``, ``batch``, ``depends_on``.
_MAKERS: Mapping[str, str] = MappingProxyType(
    {'mmdet': 'detection', 'mmseg': 'segmentation', 'mmpose': 'pose', 'mmpretrain': 'classification'}
)


def sizes(cfg: Config) -> Sequence[Size]:
    """Heights and widths of images to try, small ones first: some models only bear larger ones."""
    return _maker(cfg).sizes(cfg)


def prepare(cfg: Config, size: Size) -> None:
    """Make ``cfg.model`` take images of a size as they are, in place.

    Only what enlarges images on their way into the network is touched (padding to a fixed size, augmentation
    of whole batches), and limits that decide about nothing but time.

    Args:
        cfg: A copy of the config.
        size: Height and width.
    """
    _maker(cfg).prepare(cfg, size)


def random_batches(cfg: Config, size: Size, *, seed: int = 0) -> Batches:
    """Batches for a config's model.

    Args:
        cfg: The config; its number of classes or keypoints decides about the annotations.
        size: Height and width of the images.
        seed: The same seed gives the same batches.
    """
    make, rng = _maker(cfg).batch, np.random.default_rng(seed)
    return Batches(
        train=make(cfg, size, rng=rng, count=2, training=True),
        test=make(cfg, size, rng=rng, count=1, training=False),
    )


def what_inputs_depend_on(cfg: Config) -> Any:
    """Whatever of a config, beside its model, its random inputs are made from."""
    return _maker(cfg).depends_on(cfg)


def _maker(cfg: Config) -> Any:
    # a codebase's module is imported when its config is used: each of them is optional
    return import_module(f'.{_MAKERS[str(cfg.default_scope)]}', __package__)
