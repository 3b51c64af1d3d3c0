"""Necks that read a list of a backbone's maps: FPN and its kin."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

from .levels import Levels, hrnet_levels
from .refusal import SwapRefused
from .request import SwapRequest
from .streams import STRIDES, like, match_streams

#: Stride at which a pyramid starts -> stride of HRFPN's last convolutions.
_HRFPN_STRIDE = {4: 1, 8: 2}
#: Necks whose inner widths follow from ``in_channels``.
_AS_WIDE_AS_LEVELS = ('CSPNeXtPAFPN', 'YOLOXPAFPN')
#: Necks whose places of maps are written in their code.
_FIXED_PLACES = {
    'NASFCOS_FPN': 'NASFCOS_FPN reads the maps at places 1 to 3 and leaves the one at stride 4 without a '
    'gradient; ask for --necks hrfpn'
}
_DEFAULT_START = {'NASFCOS_FPN': 1}


def first_neck(model: dict[str, Any]) -> dict[str, Any] | None:
    """The neck that reads the backbone: of several in a row, the first."""
    neck = model.get('neck')
    return neck[0] if isinstance(neck, (list, tuple)) else neck


def put_first_neck(model: dict[str, Any], neck: dict[str, Any]) -> None:
    """Replace the neck that reads the backbone and keep those behind it."""
    others = model['neck'][1:] if isinstance(model['neck'], (list, tuple)) else []
    model['neck'] = [neck, *others] if others else neck


def fit_neck(neck: dict[str, Any], levels: Levels, request: SwapRequest, *, part: str) -> tuple[int, ...]:
    """Let a neck read the streams at the strides it read before, in place.

    A ``start_level`` is no longer needed: streams that are not read are not produced, so that no weight
    stays without a gradient.

    Returns:
        The streams to produce.

    Raises:
        SwapRefused: HRNet has no maps at these strides, or the neck's channels are not the old backbone's.
    """
    if neck['type'] in _FIXED_PLACES:
        raise SwapRefused(part=part, reason=_FIXED_PLACES[neck['type']])
    read = _read_levels(neck, levels, part=part)
    streams = same_strides(read.strides, part=part)
    channels = [hrnet_levels(request.arch).channels[stream] for stream in streams]
    before = neck['in_channels']
    if isinstance(before, int):
        neck['in_channels'] = channels[-1]
        return streams
    is_from_deep = list(before) != list(levels.channels)  # YOLOv3 lists its levels from deep to shallow
    neck['in_channels'] = like(before, channels[::-1] if is_from_deep else channels)
    _shift_levels(neck, by=_start_level(neck))
    _fit_groups(neck, channels)
    return streams


def hrfpn_for(neck: dict[str, Any], levels: Levels, request: SwapRequest, *, part: str) -> dict[str, Any]:
    """The HRFPN that gives the same levels as a neck.

    Raises:
        SwapRefused: its levels have different widths, or start elsewhere than at stride 4 or 8.
    """
    channels = list(hrnet_levels(request.arch).channels)
    if neck['type'] == 'HRFPN':
        return {**neck, 'type': 'hrnet_mm.HRFPN', 'in_channels': channels}
    read = _read_levels(neck, levels, part=part)
    width, start = neck.get('out_channels'), read.strides[0]
    if not isinstance(width, int):
        raise SwapRefused(part=part, reason=f'{neck["type"]} gives levels of different widths, HRFPN of one')
    if start not in _HRFPN_STRIDE:
        raise SwapRefused(part=part, reason=f"the pyramid starts at stride {start}; HRFPN's at 4 or 8")
    hrfpn: dict[str, Any] = {
        'type': 'hrnet_mm.HRFPN',
        'in_channels': channels,
        'out_channels': width,
        'num_outs': neck.get('num_outs', len(read.strides)),
    }
    if _HRFPN_STRIDE[start] != 1:
        hrfpn['stride'] = _HRFPN_STRIDE[start]
    return hrfpn


def same_strides(strides: Sequence[int], *, part: str) -> tuple[int, ...]:
    """The streams with exactly these strides.

    Raises:
        SwapRefused: HRNet has no such streams.
    """
    streams = match_streams(strides) if len(strides) <= len(STRIDES) else ()
    if tuple(STRIDES[stream] for stream in streams) != tuple(strides):
        raise SwapRefused(
            part=part,
            reason=f'reads strides {", ".join(map(str, strides))}; HRNet has 4, 8, 16 and 32, once each',
        )
    return streams


def _read_levels(neck: dict[str, Any], levels: Levels, *, part: str) -> Levels:
    """The levels that a neck works with."""
    channels = neck.get('in_channels')
    if isinstance(channels, int):
        # asserted by some to be the only one, taken by others as the last
        return _checked(Levels(levels.channels[-1:], levels.strides[-1:]), [channels], part=part)
    known = _checked(levels, list(channels or []), part=part)
    start = _start_level(neck)
    return Levels(known.channels[start:], known.strides[start:])


def _checked(levels: Levels, channels: list[int], *, part: str) -> Levels:
    given = list(levels.channels)
    if channels not in (given, given[::-1]):
        raise SwapRefused(
            part=part, reason=f'in_channels={channels} are not the widths of the backbone, {given}'
        )
    return levels


def _start_level(neck: dict[str, Any]) -> int:
    start: int = neck.get('start_level', _DEFAULT_START.get(neck['type'], 0))
    return start


def _fit_groups(neck: dict[str, Any], channels: Sequence[int]) -> None:
    """Group norms of a neck that is as wide as its levels, or half as wide inside its blocks."""
    norm = neck.get('norm_cfg')
    if neck['type'] in _AS_WIDE_AS_LEVELS and isinstance(norm, dict) and norm.get('type') == 'GN':
        norm['num_groups'] = gcd(norm['num_groups'], *(channel // 2 for channel in channels))


def _shift_levels(neck: dict[str, Any], *, by: int) -> None:
    if not by:
        return
    neck['start_level'] = 0
    if neck.get('end_level', -1) > 0:
        neck['end_level'] -= by
