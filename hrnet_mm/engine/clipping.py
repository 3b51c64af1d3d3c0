"""Keeping what is drawn on the image: newer matplotlib zooms out for a shape that reaches beyond."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

#: Fields of instances that hold x, y pairs in pixels, in their last dimension or flattened into it.
_COORDINATES = ('bboxes', 'keypoints')


def clip_to_image(sample: BaseDataElement, *, height: int, width: int) -> BaseDataElement:
    """A copy of a data sample with the coordinates of its instances moved onto the image.

    Args:
        sample: a data sample, on the CPU.
        height: of the image, in pixels.
        width: of the image, in pixels.
    """
    copied = sample.clone()
    for field in ('gt_instances', 'pred_instances'):
        if field in copied:
            instances = copied.get(field).clone()
            present = [name for name in _COORDINATES if name in instances]
            instances.set_data(
                {name: _clip(instances.get(name), height=height, width=width) for name in present}
            )
            copied.set_data({field: instances})
    return copied


def _clip(values: Any, *, height: int, width: int) -> Any:
    """Coordinates of shape ``(..., 2)`` or ``(N, 4)``, kept as the array or tensor that they are."""
    pairs = np.asarray(values, dtype=np.float32)
    upper = np.tile(np.asarray([width - 1, height - 1], np.float32), pairs.shape[-1] // 2)
    clipped = np.clip(pairs, 0, upper)
    return clipped if isinstance(values, np.ndarray) else values.new_tensor(clipped)
