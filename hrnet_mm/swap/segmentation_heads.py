"""What mmseg's heads read: one map, or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from .levels import Levels, hrnet_levels
from .refusal import SwapRefused
from .request import SwapRequest
from .streams import like, match_streams, stream_at

#: Config key and dict of every head of a segmentor.
Heads: TypeAlias = Sequence[tuple[str, dict[str, Any]]]
#: What the old backbone gives; it is built at the first call only.
LazyLevels: TypeAlias = Callable[[], Levels]

_ALL = (0, 1, 2, 3)
_GATHER = 'resize_concat'
#: Heads whose memory grows with the square of the number of pixels: they stay at the stride they had.
_QUADRATIC = ('NLHead', 'DNLHead', 'DAHead', 'PSAHead')
#: A head that wraps the one that reads the maps -> the key of that one.
_INNER = {'IterativeDecodeHead': 'kernel_generate_head'}


def reads_one_map(head: Mapping[str, Any]) -> bool:
    """Whether a head works on a single map, be it gathered from several."""
    head = _reader(head)
    return isinstance(head['in_channels'], int) or head.get('input_transform') == _GATHER


def fit_to_one_map(head: dict[str, Any], *, channels: int) -> None:
    """Let a head read the only map there is, in place."""
    head = _reader(head)
    _widen(head, channels)
    is_list = not isinstance(head['in_channels'], int) and head.get('input_transform') != _GATHER
    head['in_channels'] = like(head['in_channels'], [channels]) if is_list else channels
    head['in_index'] = (0,) if is_list else 0
    if head.get('input_transform') == _GATHER:
        head['input_transform'] = None
    if 'c1_in_channels' in head:
        head['c1_in_channels'] = channels


def fit_to_streams(heads: Heads, levels: LazyLevels, request: SwapRequest) -> tuple[int, ...]:
    """Let heads read HRNet's streams, in place; gives the streams that they read.

    Raises:
        SwapRefused: a head reads more maps than HRNet has streams.
    """
    channels = hrnet_levels(request.arch).channels
    if not any(reads_one_map(head) for _, head in heads):
        return _fit_several(heads, levels, channels)
    for part, head in heads:
        reader = _reader(head)
        if reads_one_map(head):
            _gather(reader, levels, channels)
        else:
            _select(reader, _streams_of(reader, levels, part), channels)
    return _ALL


def fit_to_pyramid(heads: Heads, levels: LazyLevels, *, width: int) -> None:
    """Let heads read a pyramid of four levels of one width, in place."""
    for part, head in heads:
        reader = _reader(head)
        if isinstance(reader['in_channels'], int):
            reader['in_index'] = stream_at(levels().strides[reader.get('in_index', -1)])
            reader['in_channels'] = width
        else:
            _select(reader, _streams_of(reader, levels, part), (width,) * len(_ALL))


def _fit_several(heads: Heads, levels: LazyLevels, channels: Sequence[int]) -> tuple[int, ...]:
    """Only streams that are read are produced: the others' weights would get no gradient."""
    read = {part: _streams_of(_reader(head), levels, part) for part, head in heads}
    produced = sorted({stream for streams in read.values() for stream in streams})
    for part, head in heads:
        places = [produced.index(stream) for stream in read[part]]
        _select(_reader(head), places, [channels[stream] for stream in produced])
    return tuple(produced)


def _reader(head: Any) -> dict[str, Any]:
    inner = _INNER.get(head['type'])
    reader: dict[str, Any] = head if inner is None else head[inner]
    return reader


def _gather(head: dict[str, Any], levels: LazyLevels, channels: Sequence[int]) -> None:
    _widen(head, sum(channels))
    order: tuple[int, ...] = _ALL
    if head['type'] in _QUADRATIC:
        first = stream_at(levels().strides[_index(head.get('in_index', -1))])
        order = (first, *(stream for stream in _ALL if stream != first))
    head['in_index'] = order
    head['in_channels'] = [channels[stream] for stream in order]
    head['input_transform'] = _GATHER
    if 'c1_in_channels' in head:
        head['c1_in_channels'] = channels[0]


def _index(index: Any) -> int:
    return index if isinstance(index, int) else index[0]


def _widen(head: dict[str, Any], channels: int) -> None:
    """Keep heads as wide as their input where they were: HRNet's own, and those without a convolution."""
    before = head['in_channels']
    width = before if isinstance(before, int) else sum(before)
    if head.get('channels') == width and (head.get('num_convs') == 0 or not isinstance(before, int)):
        head['channels'] = channels


def _select(head: dict[str, Any], places: Sequence[int], channels: Sequence[int]) -> None:
    if 'in_index' in head and list(head['in_index']) != list(places):
        head['in_index'] = like(head['in_index'], places)
    head['in_channels'] = like(head['in_channels'], [channels[place] for place in places])


def _streams_of(head: Mapping[str, Any], levels: LazyLevels, part: str) -> tuple[int, ...]:
    """The stream for each map that a head reads."""
    indices = head.get('in_index')
    if indices is None or tuple(indices) == _ALL:
        return _ALL[: len(head['in_channels'])]
    strides = levels().strides
    try:
        if len(strides) == len(_ALL):
            # the usual four stages: the place says more than the stride, which dilation changes
            return tuple(_ALL[i] for i in indices)
        return match_streams([strides[i] for i in indices])
    except (ValueError, IndexError) as error:
        raise SwapRefused(part=part, reason=f'{head["type"]} reads maps {list(indices)}: {error}') from error
