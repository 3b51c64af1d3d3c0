"""COCO's segmentations in the forms that people write: which of them can be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Final

_FORMS = 'a list of polygons [[x, y, x, y, ...]] or a run-length mask {size, counts}'
#: Coordinates from here on are no pixels; float32 has no whole numbers beyond.
HUGE: Final = 2**24


def are_pixels(values: Sequence[Any]) -> bool:
    """Whether all are numbers, finite, and no larger than coordinates can be."""
    try:
        # a NaN hides from max and min, not from the sum
        most = HUGE * len(values)
        return not values or (min(values) > -HUGE and max(values) < HUGE and -most < sum(values) < most)
    except TypeError:
        return False


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
        if not are_pixels(polygon):
            return f'a polygon of its segmentation holds what is no number of pixels; expected {_FORMS}'
    if not any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in segmentation):
        if max(map(len, segmentation)) == 2:
            return f'its segmentation is a list of points [x, y]; expected {_FORMS}'
        counts = ', '.join(str(len(polygon)) for polygon in segmentation[:5])
        return f'no polygon of its segmentation has three points (they have {counts} numbers)'
    if len(segmentation[0]) < 5:  # mmdet passes it over, pycocotools takes all of them for boxes
        return f'the first polygon of its segmentation has {len(segmentation[0])} numbers; leave it out'
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
    runs = _decoded(counts) if isinstance(counts, (str, bytes)) else counts
    if (
        not all(isinstance(run, (int, float)) and run >= 0 for run in runs)
        or sum(runs) != shape[0] * shape[1]
    ):
        return f'the runs of its run-length mask do not add up to {shape[0]} x {shape[1]} pixels'
    return None


def _decoded(counts: str | bytes) -> Sequence[int]:
    """COCO's compressed run lengths: five bits a character, each run less the one before the last."""
    runs: list[int] = []
    value = bits = 0
    for char in counts.encode() if isinstance(counts, str) else counts:
        code = char - ord('0')
        value |= (code & 31) << bits
        bits += 5
        if not code & 32:
            value -= (code & 16) << (bits - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = bits = 0
    return runs
