"""Which streams of HRNet take the place of a backbone's feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_COUNT = 4
STRIDES = (4, 8, 16, 32)


def match_streams(strides: Sequence[int]) -> tuple[int, ...]:
    """One stream per map, ascending, each of the map's stride where that is possible.

    Maps that share a stride (dilated or tokens' maps) get different streams, deeper ones coarser.

    Args:
        strides: Of at most four maps, from shallow to deep.

    Raises:
        ValueError: more maps than streams.
    """
    count = len(strides)
    if count > _COUNT:
        raise ValueError(f'{count} maps, but HRNet has {_COUNT} streams')
    streams: list[int] = []
    for position, stride in enumerate(strides):
        low = streams[-1] + 1 if streams else 0
        high = _COUNT - (count - position)
        streams.append(min(max(_nearest(stride), low), high))
    return tuple(streams)


def stream_at(stride: int) -> int:
    """The stream whose stride is nearest."""
    return _nearest(stride)


def like(old: Any, values: Sequence[Any]) -> Any:
    """``values`` as the kind of sequence that ``old`` is: some modules compare tuples with tuples."""
    return tuple(values) if isinstance(old, tuple) else list(values)


def _nearest(stride: int) -> int:
    return min(range(_COUNT), key=lambda stream: abs(STRIDES[stream] - stride))
