"""Heads of mmpose: which stream of HRNet each reads, and what changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .refusal import SwapRefused
from .streams import STRIDES, stream_at

#: Arguments of the layers that climb from a coarse map to the heatmap.
_CLIMBING = ('deconv_kernel_sizes', 'deconv_num_groups')
_DEFAULT_DECONVOLUTIONS = 3  # of every head that has an argument for them
_SLACK = 1.25  # AlexNet's maps lose a border: 4.8 pixels apart are a stride of 4


_LAYER: Mapping[str, Any] = MappingProxyType({'kernel_size': 1})


@dataclass(frozen=True)
class Fit:
    """How one kind of head comes to sit on HRNet.

    Attributes:
        stride: The stride of the map that the head works at, from its arguments.
        adapt: Changes the head in place, given the channels of its new map and its stream.
    """

    stride: Callable[[Mapping[str, Any]], float]
    adapt: Callable[[dict[str, Any], int, int], None]

    def streams(self, head: Mapping[str, Any], *, part: str) -> tuple[int, ...]:
        """The one stream that has the head's stride.

        Raises:
            SwapRefused: HRNet has none.
        """
        stride = self.stride(head)
        stream = stream_at(round(stride))
        if not 1 / _SLACK < stride / STRIDES[stream] < _SLACK:
            raise SwapRefused(part=part, reason=f'works at stride {stride:g}; HRNet has 4, 8, 16 and 32')
        return (stream,)


def _heatmap_stride(head: Mapping[str, Any]) -> float:
    decoder = head.get('decoder') or {}
    if 'input_size' not in decoder or 'heatmap_size' not in decoder:
        return STRIDES[0]
    return float(decoder['input_size'][0] / decoder['heatmap_size'][0])


def _map_stride(head: Mapping[str, Any]) -> float:
    """Where a head flattens a map: that of the map after the deconvolutions, if there are any."""
    size = head.get('input_size') or head['decoder']['input_size']
    return float(size[0] / head['in_featuremap_size'][0] / 2 ** _deconvolutions(head))


def _deconvolutions(head: Mapping[str, Any]) -> int:
    given = head.get('deconv_out_channels', _missing(head))
    return given if isinstance(given, int) else len(given or ())


def _missing(head: Mapping[str, Any]) -> int:
    return _DEFAULT_DECONVOLUTIONS if head['type'] in _WITH_DECONVOLUTIONS else 0


#: Heads that take the logarithm of a softmax, and start small only in the deconvolutions that they lose.
_INTEGRALS = ('IntegralRegressionHead', 'DSNTHead')
_SMALL: Mapping[str, Any] = MappingProxyType({'type': 'Normal', 'layer': 'Conv2d', 'std': 0.001})
_WITH_DECONVOLUTIONS = ('SimCCHead', 'IntegralRegressionHead', 'DSNTHead')


def _read_directly(head: dict[str, Any], channels: int, stream: int) -> None:
    """Take the stream as the heatmap's map, without deconvolutions."""
    old = head.get('in_channels')
    head['in_channels'] = channels
    head['deconv_out_channels'] = None
    for key in _CLIMBING:
        if head.get(key) is not None:
            head[key] = None
    if head.get('conv_out_channels') and list(head['conv_out_channels']) == [old]:
        # the mixing of joined streams keeps their width
        head['conv_out_channels'] = (channels,)


def _read_flattened(head: dict[str, Any], channels: int, stream: int) -> None:
    size = head.get('input_size') or head['decoder']['input_size']
    if head['type'] in _WITH_DECONVOLUTIONS:
        _read_directly(head, channels, stream)
    if head['type'] in _INTEGRALS:
        head['init_cfg'] = dict(_SMALL)
    head['in_channels'] = channels
    head['in_featuremap_size'] = tuple(-(-side // STRIDES[stream]) for side in size)


def _set_width(head: dict[str, Any], channels: int, stream: int) -> None:
    head['in_channels'] = channels


def _set_only_stage(head: dict[str, Any], channels: int, stream: int) -> None:
    """An hourglass and CPM give a map after each of their stages, HRNet one."""
    _read_directly(head, channels, stream)
    head['num_stages'] = 1
    if head.get('final_layer', _LAYER) is None:
        # CPM's own stages end in heatmaps
        head['final_layer'] = dict(_LAYER)


def _set_inner_head(head: dict[str, Any], channels: int, stream: int) -> None:
    FITS[head['pose_cfg']['type']].adapt(head['pose_cfg'], channels, stream)


def _set_hands(head: dict[str, Any], channels: int, stream: int) -> None:
    """InterNet's three heads share the coarsest map."""
    for key in ('keypoint_head_cfg', 'root_head_cfg', 'hand_type_head_cfg'):
        head[key]['in_channels'] = channels


def _finest(head: Mapping[str, Any]) -> float:
    return STRIDES[0]


def _coarsest(head: Mapping[str, Any]) -> float:
    return STRIDES[-1]


def _inner_stride(head: Mapping[str, Any]) -> float:
    return FITS[head['pose_cfg']['type']].stride(head['pose_cfg'])


_HEATMAP = Fit(_heatmap_stride, _read_directly)
_FLATTENED = Fit(_map_stride, _read_flattened)
_POOLED = Fit(_coarsest, _set_width)

#: Type of a head that reads one map -> how it comes to sit on HRNet.
FITS: Mapping[str, Fit] = MappingProxyType(
    {
        'HeatmapHead': _HEATMAP,
        'ViPNASHead': _HEATMAP,
        'CPMHead': Fit(_heatmap_stride, _set_only_stage),
        'VisPredictHead': Fit(_inner_stride, _set_inner_head),
        'InternetHead': Fit(_coarsest, _set_hands),
        'AssociativeEmbeddingHead': Fit(_finest, _read_directly),
        'DEKRHead': Fit(_finest, _set_width),
        'CIDHead': Fit(_finest, _set_width),
        'SimCCHead': _FLATTENED,
        'RTMCCHead': _FLATTENED,
        'IntegralRegressionHead': _FLATTENED,
        'DSNTHead': _FLATTENED,
        'RegressionHead': _POOLED,
        'RLEHead': _POOLED,
    }
)
