"""Sizes, images and boxes that all makers of random inputs draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Size = tuple[int, int]

#: Corners of the boxes as shares of width and height: large, middling and small ones, so that every level
#: of a pyramid finds some of its own.
_BOXES = ((0.02, 0.05, 0.95, 0.9), (0.1, 0.3, 0.6, 0.75), (0.5, 0.1, 0.8, 0.5), (0.3, 0.6, 0.5, 0.8))
_SHAKE = 0.02


def random_image(rng: np.random.Generator, size: Size, *, channels: int = 3) -> Tensor:
    """(channels, H, W), bytes."""
    return torch.from_numpy(rng.integers(0, 256, (channels, *size), dtype=np.uint8))


def random_boxes(rng: np.random.Generator, size: Size) -> np.ndarray:
    """(4, 4), x1 y1 x2 y2 in pixels, inside the image and each at least some pixels wide."""
    height, width = size
    shares = np.array(_BOXES) + rng.uniform(-_SHAKE, _SHAKE, (len(_BOXES), 4))
    return (shares.clip(0, 1) * [width, height, width, height]).astype(np.float32)


def values_of(node: Any, *keys: str) -> Iterator[Any]:
    """The values under some keys, at any depth of nested dicts and lists."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys:
                yield value
            yield from values_of(value, *keys)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from values_of(value, *keys)


def pipelines_of(cfg: Any) -> Iterator[dict[str, Any]]:
    """The transforms of the training pipeline, nested ones and those of wrapped data sets included."""
    loader = cfg.get('train_dataloader') or {}
    for pipeline in [*values_of(loader, 'pipeline'), cfg.get('train_pipeline')]:
        yield from _transforms(pipeline)


def _transforms(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _transforms(value)
