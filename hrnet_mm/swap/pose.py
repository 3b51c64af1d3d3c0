"""HRNet under mmpose's pose estimators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmengine.config import Config

from ..utils import iter_dicts
from .backbones import STREAMS, STRIDES, backbone_levels, put_hrnet, stream_channels
from .necks import fit_neck, like, stream_at
from .request import SwapRefused, SwapRequest, refuse_bound

_SEQUENCE = 'lifts keypoints to three dimensions, and reads no image'

#: Key or type that no other backbone can serve -> why.
_BOUND_KEYS: Final[Mapping[str, str]] = {
    'teacher_cfg': 'a distiller: the teacher has the old backbone and its trained weights'
}
_BOUND_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    'backbone': {kind: f'{kind} {_SEQUENCE}' for kind in ('TCN', 'DSTFormer')},
    'head': {'MSPNHead': 'MSPNHead reads and supervises each unit inside each stage of MSPN and RSN'},
}
#: Necks that only choose, join or enlarge maps, which HRNet's streams need not, or only pool them.
_MAP_PROCESSOR, _POOLING = 'FeatureMapProcessor', 'GlobalAveragePooling'

#: Arguments of the layers that climb from a coarse map to the heatmap.
_CLIMBING = ('deconv_kernel_sizes', 'deconv_num_groups')
#: Heads that have such layers unless told otherwise, and how many.
_WITH_DECONVOLUTIONS, _DEFAULT_DECONVOLUTIONS = ('SimCCHead', 'IntegralRegressionHead', 'DSNTHead'), 3
#: Heads that take the logarithm of a softmax, and start small only in the deconvolutions that they lose.
_INTEGRALS = ('IntegralRegressionHead', 'DSNTHead')
_SLACK = 1.25  # AlexNet's maps lose a border: 4.8 pixels apart are a stride of 4


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under a pose estimator, in place.

    Heatmaps come from the stream of their own stride, without the deconvolutions that others need to climb
    there; coordinates and coordinate classes from the stream of the stride that their head was made for.

    Raises:
        SwapRefused: a part of the estimator cannot do without its backbone.
    """
    model = cfg.model
    refuse_bound(model, keys=_BOUND_KEYS, types=_BOUND_TYPES)
    for key in ('backbone', 'head'):
        if not isinstance(model.get(key), dict):
            raise SwapRefused('model', f'{model.get("type")} has no {key}')
    old = dict(model['backbone'])
    rescorer = (model['head'].get('rescore_cfg') or {}).get('init_cfg')
    streams = _fit(model, request)
    _fit_heatmaps(cfg, streams)
    put_hrnet(cfg, request, streams=streams, old=old)
    if rescorer is not None:
        # it scores keypoints, whatever network they come from
        model['head']['rescore_cfg']['init_cfg'] = rescorer


def _fit(model: dict[str, Any], request: SwapRequest) -> tuple[int, ...]:
    """Adapt whatever reads the backbone; gives the streams that it reads."""
    head, neck = model['head'], model.get('neck')
    neck = neck if isinstance(neck, dict) else {}
    head = head.get('pose_cfg', head)  # VisPredictHead wraps the one that reads the maps
    if 'in_channels' in neck:
        return _fit_pyramid(model, neck, request)
    if request.necks == 'hrfpn':
        raise SwapRefused('model.neck', 'there is no pyramid that HRFPN could replace')
    kind = str(head.get('type'))
    if kind not in FITS:
        raise SwapRefused('model.head', f'{kind} is not known to read a backbone directly')
    fit, channels = FITS[kind], stream_channels(request.arch)
    if request.necks == 'v2' or (neck.get('type') == _MAP_PROCESSOR and neck.get('concat')):
        return _fit_all_streams(model, neck, head, request)
    stream = fit.stream(head)
    fit.adapt(head, channels[stream], stream)
    if neck.get('type') == _MAP_PROCESSOR:
        model['neck'] = None
    return (stream,)


def _fit_pyramid(model: dict[str, Any], neck: dict[str, Any], request: SwapRequest) -> tuple[int, ...]:
    if request.necks == 'v2':
        raise SwapRefused(
            'model.neck',
            'the head reads maps at several strides, HRNetV2Neck gives a single one; ask for keep',
        )
    levels = backbone_levels(model['backbone'], scope='mmpose')
    model['neck'], streams = fit_neck(neck, levels, request, part='model.neck')
    if neck.get('out_channels', 0) is None:
        # CSPNeXtPAFPN leaves the widths as they are
        model['head']['in_channels'] = neck['in_channels'][-1]
    return streams


def _fit_all_streams(
    model: dict[str, Any], neck: dict[str, Any], head: dict[str, Any], request: SwapRequest
) -> tuple[int, ...]:
    """HRNetV2: all streams enlarged and joined, 15C channels at stride 4."""
    fit, channels = FITS[head['type']], stream_channels(request.arch)
    if neck.get('type') == _POOLING:
        # mmpose takes no row of necks, and the pooling has to stay
        raise SwapRefused('model.neck', 'the head reads a pooled map; ask for --necks keep')
    if fit.stream(head) != 0:
        raise SwapRefused(
            'model.head', 'reads a map coarser than stride 4, where all streams join; ask for --necks keep'
        )
    fit.adapt(head, sum(channels), 0)
    if request.necks == 'v2':
        model['neck'] = {'type': 'HRNetV2Neck', 'in_channels': list(channels)}
    else:
        model['neck'].pop('select_index', None)
    return STREAMS


def _fit_heatmaps(cfg: Config, streams: tuple[int, ...]) -> None:
    """Where a backbone lost a border (AlexNet's), heatmaps grow to HRNet's size, wherever they are named."""
    decoder = cfg.model['head'].get('decoder') or {}
    old, sides, stride = decoder.get('heatmap_size', ()), decoder.get('input_size', ()), STRIDES[streams[0]]
    if not old or len(old) != len(sides) or sides[0] / old[0] <= stride:
        return
    new = like(old, [-(-side // stride) for side in sides])
    for _, node in iter_dicts(cfg._cfg_dict):
        if node.get('heatmap_size') == old:
            node['heatmap_size'] = new


@dataclass(frozen=True)
class Fit:
    """How one kind of head comes to sit on HRNet.

    Attributes:
        stride: The stride of the map that the head works at, or how its arguments tell it.
        adapt: Changes the head in place, given the channels of its new map and its stream.
    """

    stride: int | Callable[[Mapping[str, Any]], float]
    adapt: Callable[[dict[str, Any], int, int], None]

    def stream(self, head: Mapping[str, Any]) -> int:
        """The stream that has the head's stride.

        Raises:
            SwapRefused: HRNet has none.
        """
        stride = self.stride(head) if callable(self.stride) else self.stride
        stream = stream_at(round(stride))
        if not 1 / _SLACK < stride / STRIDES[stream] < _SLACK:
            raise SwapRefused('model.head', f'works at stride {stride:g}; HRNet has 4, 8, 16 and 32')
        return stream


def _heatmap_stride(head: Mapping[str, Any]) -> float:
    decoder = head.get('decoder') or {}
    if 'input_size' not in decoder or 'heatmap_size' not in decoder:
        return STRIDES[0]
    return float(decoder['input_size'][0] / decoder['heatmap_size'][0])


def _map_stride(head: Mapping[str, Any]) -> float:
    """Where a head flattens a map: that of the map after the deconvolutions, if there are any."""
    default = _DEFAULT_DECONVOLUTIONS if head['type'] in _WITH_DECONVOLUTIONS else 0
    given = head.get('deconv_out_channels', default)
    deconvolutions = given if isinstance(given, int) else len(given or ())
    return float(_input_size(head)[0] / head['in_featuremap_size'][0] / 2**deconvolutions)


def _input_size(head: Mapping[str, Any]) -> tuple[int, ...]:
    """Width and height of the image that a head is made for."""
    return tuple(head.get('input_size') or head['decoder']['input_size'])


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
    if head['type'] in _WITH_DECONVOLUTIONS:
        _read_directly(head, channels, stream)
    if head['type'] in _INTEGRALS:
        head['init_cfg'] = {'type': 'Normal', 'layer': 'Conv2d', 'std': 0.001}
    head['in_channels'] = channels
    head['in_featuremap_size'] = tuple(-(-side // STRIDES[stream]) for side in _input_size(head))


def _read_one_stage(head: dict[str, Any], channels: int, stream: int) -> None:
    """An hourglass and CPM give a map after each of their stages, HRNet one."""
    _read_directly(head, channels, stream)
    head['num_stages'] = 1
    if 'final_layer' in head and head['final_layer'] is None:
        # CPM's own stages end in heatmaps
        head['final_layer'] = {'kernel_size': 1}


def _set_hands(head: dict[str, Any], channels: int, stream: int) -> None:
    """InterNet's three heads share the coarsest map."""
    for key in ('keypoint_head_cfg', 'root_head_cfg', 'hand_type_head_cfg'):
        head[key]['in_channels'] = channels


def _set_width(head: dict[str, Any], channels: int, stream: int) -> None:
    head['in_channels'] = channels


#: Type of a head that reads one map -> how it comes to sit on HRNet.
FITS: Final[Mapping[str, Fit]] = {
    'HeatmapHead': Fit(_heatmap_stride, _read_directly),
    'ViPNASHead': Fit(_heatmap_stride, _read_directly),
    'CPMHead': Fit(_heatmap_stride, _read_one_stage),
    'InternetHead': Fit(STRIDES[-1], _set_hands),
    'AssociativeEmbeddingHead': Fit(STRIDES[0], _read_directly),
    'DEKRHead': Fit(STRIDES[0], _set_width),
    'CIDHead': Fit(STRIDES[0], _set_width),
    'SimCCHead': Fit(_map_stride, _read_flattened),
    'RTMCCHead': Fit(_map_stride, _read_flattened),
    'IntegralRegressionHead': Fit(_map_stride, _read_flattened),
    'DSNTHead': Fit(_map_stride, _read_flattened),
    'RegressionHead': Fit(STRIDES[-1], _set_width),
    'RLEHead': Fit(STRIDES[-1], _set_width),
}
