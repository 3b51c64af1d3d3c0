"""Which streams of HRNet replace a backbone's maps, and the necks that read them: FPN and its kin."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any, Final

from .backbones import STREAMS, STRIDES, Levels, stream_channels
from .request import SwapRefused, SwapRequest

#: Stride at which a pyramid starts -> stride of HRFPN's last convolutions.
_HRFPN_STRIDE: Final = {4: 1, 8: 2}
#: Necks whose inner widths follow from ``in_channels``.
_AS_WIDE_AS_LEVELS = ('CSPNeXtPAFPN', 'YOLOXPAFPN')
#: Necks whose places of maps are written in their code.
_FIXED_PLACES: Final = {
    'NASFCOS_FPN': 'NASFCOS_FPN reads the maps at places 1 to 3 and leaves the one at stride 4 without a '
    'gradient; ask for --necks hrfpn'
}
_DEFAULT_START: Final = {'NASFCOS_FPN': 1}


def match_streams(strides: Sequence[int]) -> tuple[int, ...]:
    """One stream per map, ascending, each of the map's stride where that is possible.

    Maps that share a stride (dilated or tokens' maps) get different streams, deeper ones coarser.

    Args:
        strides: Of at most four maps, from shallow to deep.

    Raises:
        ValueError: more maps than streams.
    """
    count = len(strides)
    if count > len(STREAMS):
        raise ValueError(f'{count} maps, but HRNet has {len(STREAMS)} streams')
    streams: list[int] = []
    for position, stride in enumerate(strides):
        low = streams[-1] + 1 if streams else 0
        high = len(STREAMS) - (count - position)
        streams.append(min(max(stream_at(stride), low), high))
    return tuple(streams)


def stream_at(stride: float) -> int:
    """The stream whose stride is nearest."""
    return min(STREAMS, key=lambda stream: abs(STRIDES[stream] - stride))


def same_strides(strides: Sequence[int], *, part: str) -> tuple[int, ...]:
    """The streams with exactly these strides.

    Raises:
        SwapRefused: HRNet has no such streams.
    """
    streams = match_streams(strides) if len(strides) <= len(STREAMS) else ()
    if tuple(STRIDES[stream] for stream in streams) != tuple(strides):
        raise SwapRefused(
            part, f'reads strides {", ".join(map(str, strides))}; HRNet has 4, 8, 16 and 32, once each'
        )
    return streams


def like(old: Any, values: Sequence[Any]) -> Any:
    """``values`` as the kind of sequence that ``old`` is: some modules compare tuples with tuples."""
    return tuple(values) if isinstance(old, tuple) else list(values)


def fit_neck(
    neck: dict[str, Any], levels: Levels, request: SwapRequest, *, part: str
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Let a neck read the streams at the strides it read before, in place, or replace it by HRFPN.

    A ``start_level`` is no longer needed: streams that are not read are not produced, so that no weight
    stays without a gradient.

    Returns:
        The neck, and the streams to produce.

    Raises:
        SwapRefused: HRNet has no maps at these strides, or the neck's channels are not the old backbone's.
    """
    if request.necks == 'hrfpn':
        return _hrfpn_for(neck, levels, request, part=part), STREAMS
    if neck['type'] in _FIXED_PLACES:
        raise SwapRefused(part, _FIXED_PLACES[neck['type']])
    streams = same_strides(_strides_read(neck, levels, part=part), part=part)
    channels = [stream_channels(request.arch)[stream] for stream in streams]
    before = neck['in_channels']
    if isinstance(before, int):
        neck['in_channels'] = channels[-1]
        return neck, streams
    is_from_deep = list(before) != list(levels.channels)  # YOLOv3 lists its levels from deep to shallow
    neck['in_channels'] = like(before, channels[::-1] if is_from_deep else channels)
    start = _start_level(neck)
    if start:
        neck['start_level'] = 0
        if neck.get('end_level', -1) > 0:
            neck['end_level'] -= start
    norm = neck.get('norm_cfg')
    if neck['type'] in _AS_WIDE_AS_LEVELS and isinstance(norm, dict) and norm.get('type') == 'GN':
        # inside its blocks it is half as wide as its levels
        norm['num_groups'] = gcd(norm['num_groups'], *(channel // 2 for channel in channels))
    return neck, streams


def _hrfpn_for(neck: dict[str, Any], levels: Levels, request: SwapRequest, *, part: str) -> dict[str, Any]:
    """The HRFPN that gives the same levels as a neck of the old backbone's.

    Raises:
        SwapRefused: its levels have different widths, or start elsewhere than at stride 4 or 8.
    """
    channels = list(stream_channels(request.arch))
    if neck['type'] == 'HRFPN':
        return {**neck, 'type': 'hrnet_mm.HRFPN', 'in_channels': channels}
    strides = _strides_read(neck, levels, part=part)
    width, stride = neck.get('out_channels'), _HRFPN_STRIDE.get(strides[0])
    if not isinstance(width, int):
        raise SwapRefused(part, f'{neck["type"]} gives levels of different widths, HRFPN of one')
    if stride is None:
        raise SwapRefused(part, f"the pyramid starts at stride {strides[0]}; HRFPN's at 4 or 8")
    return {
        'type': 'hrnet_mm.HRFPN',
        'in_channels': channels,
        'out_channels': width,
        'num_outs': neck.get('num_outs', len(strides)),
        **({} if stride == 1 else {'stride': stride}),
    }


def _strides_read(neck: dict[str, Any], levels: Levels, *, part: str) -> tuple[int, ...]:
    """Strides of the levels that a neck works with."""
    given, channels, strides = list(levels.channels), neck.get('in_channels'), levels.strides
    start = _start_level(neck)
    if isinstance(channels, int):
        # asserted by some to be the only one, taken by others as the last
        given, channels, strides, start = given[-1:], [channels], strides[-1:], 0
    channels = list(channels or [])
    if channels not in (given, given[::-1]):
        raise SwapRefused(part, f'in_channels={channels} are not the widths of the backbone, {given}')
    return strides[start:]


def _start_level(neck: dict[str, Any]) -> int:
    start: int = neck.get('start_level', _DEFAULT_START.get(neck['type'], 0))
    return start
