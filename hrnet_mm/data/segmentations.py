"""COCO's segmentations in the forms that people write: which of them can be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

_FORMS = 'a list of polygons [[x, y, x, y, ...]] or a run-length mask {size, counts}'


def segmentation_fault(segmentation: Any, *, size: tuple[float, float] | None = None) -> str | None:
    """Why mmdet or pycocotools can't draw a segmentation; None where they can.

    Args:
        segmentation: As in the annotation; one that is missing or empty is not judged.
        size: Width and height of the image in pixels, where they are known.
    """
    if not segmentation:
        return None
    if isinstance(segmentation, Mapping):
        return _run_fault(segmentation, size)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        return f'its segmentation is a {type(segmentation).__name__}; expected {_FORMS}'
    if isinstance(segmentation[0], Real):
        return f'its segmentation is one flat list of {len(segmentation)} numbers; expected {_FORMS}'
    if isinstance(segmentation[0], Mapping):
        return f'its segmentation is a list with a run-length mask; expected {_FORMS}'
    for polygon in segmentation:
        if not isinstance(polygon, Sequence) or isinstance(polygon, str):
            return f'its segmentation holds a {type(polygon).__name__}; expected {_FORMS}'
        if any(isinstance(value, Sequence) and not isinstance(value, str) for value in polygon):
            return f'a polygon of its segmentation is a list of points; expected {_FORMS}'
        if not all(isinstance(value, Real) for value in polygon):
            return f'a polygon of its segmentation holds what is no number; expected {_FORMS}'
    if not any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in segmentation):
        if max(map(len, segmentation)) == 2:
            return f'its segmentation is a list of points [x, y]; expected {_FORMS}'
        counts = ', '.join(str(len(polygon)) for polygon in segmentation[:5])
        return f'no polygon of its segmentation has three points (they have {counts} numbers)'
    return None


def _run_fault(mask: Mapping[str, Any], size: tuple[float, float] | None) -> str | None:
    counts, shape = mask.get('counts'), mask.get('size')
    if not isinstance(shape, Sequence) or len(shape) != 2 or not isinstance(counts, (Sequence, bytes)):
        return (
            f'its run-length mask has size {shape!r} and counts of {type(counts).__name__}; expected {_FORMS}'
        )
    if size is not None and tuple(shape) != (size[1], size[0]):
        return (
            f'its run-length mask has size {list(shape)}; expected '
            f'[{size[1]:g}, {size[0]:g}], height and width of the image'
        )
    if isinstance(counts, (str, bytes)):
        return None
    if not all(isinstance(count, Real) for count in counts) or sum(counts) != shape[0] * shape[1]:
        return f'the runs of its run-length mask do not add up to {shape[0]} x {shape[1]} pixels'
    return None
