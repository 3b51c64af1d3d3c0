"""HRNet under mmseg's segmentors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeAlias

from mmengine.config import Config

from .backbones import STREAMS, Levels, backbone_levels, put_hrnet, stream_channels
from .necks import fit_neck, like, match_streams, stream_at
from .request import SwapRefused, SwapRequest, modules_at, refuse_bound

#: Config key and dict of every head of a segmentor.
Heads: TypeAlias = Sequence[tuple[str, dict[str, Any]]]
#: What the old backbone gives; it is built at the first call only, which many heads do without.
LazyLevels: TypeAlias = Callable[[], Levels]

_TEXT = 'a text-image model, whose decoder was trained with its own image encoder'
_TOKENS = 'reads the tokens of a plain vision transformer, all of one size'

#: Key of a model that no other backbone can serve -> why.
_BOUND_KEYS: Final[Mapping[str, str]] = {'text_encoder': _TEXT, 'image_encoder': _TEXT}
#: Type of a part that no other backbone can serve -> why.
_BOUND_TYPES: Final[Mapping[str, str]] = {
    'VPD': 'a text-to-image diffusion model, whose attention maps the head reads',
    'ICNet': 'ICNet runs the image at three sizes through layers of its own ResNet',
    'ICNeck': 'ICNeck fuses the three image sizes of ICNet',
    'DDRHead': "DDRHead supervises DDRNet's two branches, which exist in training only",
    'PIDHead': "PIDHead reads PIDNet's three branches, which exist in training only",
    'LRASPPHead': 'LRASPPHead pools windows of 49 by 49 cells, made for a deepest map at stride 8',
    'SETRUPHead': _TOKENS,
    'SETRMLAHead': _TOKENS,
    'MLANeck': _TOKENS,
    'DPTHead': _TOKENS,
    'SegmenterMaskTransformerHead': _TOKENS,
}
_HEADS = ('decode_head', 'auxiliary_head')
#: Necks that make a pyramid of maps of one size; HRNet gives a pyramid by itself.
_PYRAMID_MAKERS = ('MultiLevelNeck', 'Feature2Pyramid')
_PYRAMID_WIDTH = 256
#: Heads that list several maps and read the last alone.
_LAST_OF_MANY = ('EncHead',)
#: Heads whose memory grows with the square of the number of pixels: they stay at the stride they had.
_QUADRATIC = ('NLHead', 'DNLHead', 'DAHead', 'PSAHead')
#: A head that wraps the one that reads the maps -> the key of that one.
_INNER: Final[Mapping[str, str]] = {'IterativeDecodeHead': 'kernel_generate_head'}
_GATHER = 'resize_concat'


def swap(cfg: Config, request: SwapRequest) -> None:
    """Put HRNet under a segmentor, in place.

    Heads that read one map read all streams, as mmseg's own HRNet configs do it; heads that read several
    maps read one stream for each.

    Raises:
        SwapRefused: a part of the segmentor cannot do without its backbone.
    """
    model = cfg.model
    refuse_bound(model, keys=_BOUND_KEYS, types=dict.fromkeys(('backbone', 'neck', *_HEADS), _BOUND_TYPES))
    if not isinstance(model.get('backbone'), dict):
        raise SwapRefused('model', f'{model.get("type")} has no backbone')
    heads = [(f'model.{part}', _reader(head)) for key in _HEADS for part, head in modules_at(model, key)]
    if not heads:
        raise SwapRefused('model', f'{model.get("type")} has no decode_head')
    old = model['backbone']
    put_hrnet(cfg, request, streams=_fit(model, heads, request), old=old)


def _reader(head: dict[str, Any]) -> dict[str, Any]:
    """The part of a head that reads the maps."""
    inner = _INNER.get(head['type'])
    reader: dict[str, Any] = head if inner is None else head[inner]
    return reader


def _fit(model: dict[str, Any], heads: Heads, request: SwapRequest) -> tuple[int, ...]:
    """Adapt whatever reads the backbone; gives the streams that it reads."""
    backbone = dict(model['backbone'])
    levels = cache(lambda: backbone_levels(backbone, scope='mmseg'))
    neck = model.get('neck')
    if neck is not None and neck['type'] in _PYRAMID_MAKERS:
        neck = model['neck'] = None
    if request.necks == 'v2':
        return _fit_v2(model, heads, request)
    if neck is not None:
        neck, streams = fit_neck(neck, levels(), request, part='model.neck')
        model['neck'] = neck
        if neck['type'] == 'JPU':
            _fit_behind_jpu(neck, heads)
        return streams
    if request.necks == 'hrfpn':
        return _fit_hrfpn(model, heads, levels, request)
    if any(_reads_last_of_many(head) for _, head in heads):
        return _fit_v2(model, heads, request)
    return _fit_to_streams(heads, levels, stream_channels(request.arch))


def _reads_one_map(head: Mapping[str, Any]) -> bool:
    """Whether a head works on a single map, be it gathered from several."""
    return isinstance(head['in_channels'], int) or head.get('input_transform') == _GATHER


def _reads_last_of_many(head: Mapping[str, Any]) -> bool:
    return head['type'] in _LAST_OF_MANY and not head.get('add_lateral')


def _fit_v2(model: dict[str, Any], heads: Heads, request: SwapRequest) -> tuple[int, ...]:
    """Gather the streams before the heads, which read the only map there is."""
    for part, head in heads:
        if not _reads_one_map(head) and not _reads_last_of_many(head):
            raise SwapRefused(
                part,
                f'{head["type"]} reads several maps, HRNetV2Neck gives one; ask for --necks keep or hrfpn',
            )
    channels = stream_channels(request.arch)
    neck: dict[str, Any] = {'type': 'HRNetV2Neck', 'in_channels': list(channels)}
    if isinstance(model['backbone'].get('norm_cfg'), dict):
        neck['norm_cfg'] = dict(heads[0][1].get('norm_cfg') or {'type': 'BN'})
    if heads[0][1].get('align_corners'):
        neck['align_corners'] = True
    model['neck'] = neck
    for _, head in heads:
        _widen(head, sum(channels))
        is_list = not _reads_one_map(head)
        head['in_channels'] = like(head['in_channels'], [sum(channels)]) if is_list else sum(channels)
        head['in_index'] = (0,) if is_list else 0
        if head.get('input_transform') == _GATHER:
            head['input_transform'] = None
        if 'c1_in_channels' in head:
            head['c1_in_channels'] = sum(channels)
    return STREAMS


def _fit_hrfpn(
    model: dict[str, Any], heads: Heads, levels: LazyLevels, request: SwapRequest
) -> tuple[int, ...]:
    """Put HRFPN between heads that read several maps and the streams."""
    part, first = heads[0]
    if _reads_one_map(first):
        raise SwapRefused(
            part, f'{first["type"]} reads one map, HRFPN gives a pyramid; ask for --necks keep or v2'
        )
    model['neck'] = {
        'type': 'hrnet_mm.HRFPN',
        'in_channels': list(stream_channels(request.arch)),
        'out_channels': _PYRAMID_WIDTH,
        'num_outs': len(STREAMS),
    }
    for part, head in heads:
        if isinstance(head['in_channels'], int):
            head['in_index'] = stream_at(levels().strides[head.get('in_index', -1)])
            head['in_channels'] = _PYRAMID_WIDTH
        else:
            _select(head, _streams_of(head, levels, part), [_PYRAMID_WIDTH] * len(STREAMS))
    return STREAMS


def _fit_behind_jpu(neck: Mapping[str, Any], heads: Heads) -> None:
    """JPU hands on the backbone's maps, except that the last is its own: their widths reach the heads."""
    raw = dict(enumerate(neck['in_channels'][neck.get('start_level', 0) : -1]))
    for _, head in heads:
        index, channels = head.get('in_index', -1), head['in_channels']
        if isinstance(channels, int):
            head['in_channels'] = raw.get(index, channels)
        else:
            head['in_channels'] = type(channels)(raw.get(i, c) for i, c in zip(index, channels, strict=True))


def _fit_to_streams(heads: Heads, levels: LazyLevels, channels: Sequence[int]) -> tuple[int, ...]:
    """Let heads read HRNet's streams; gives the streams that they read."""
    read = {part: _streams_of(head, levels, part) for part, head in heads if not _reads_one_map(head)}
    is_gathered = len(read) < len(heads)
    # only streams that are read are produced: the others' weights would get no gradient
    produced = STREAMS if is_gathered else tuple(sorted({s for streams in read.values() for s in streams}))
    for part, head in heads:
        if part in read:
            places = [produced.index(stream) for stream in read[part]]
            _select(head, places, [channels[stream] for stream in produced])
        else:
            _gather(head, levels, channels)
    return produced


def _gather(head: dict[str, Any], levels: LazyLevels, channels: Sequence[int]) -> None:
    """Let a head that read one map read all streams, enlarged and joined."""
    _widen(head, sum(channels))
    order: tuple[int, ...] = STREAMS
    if head['type'] in _QUADRATIC:
        index = head.get('in_index', -1)
        first = stream_at(levels().strides[index if isinstance(index, int) else index[0]])
        order = (first, *(stream for stream in STREAMS if stream != first))
    head['in_index'] = order
    head['in_channels'] = [channels[stream] for stream in order]
    head['input_transform'] = _GATHER
    if 'c1_in_channels' in head:
        head['c1_in_channels'] = channels[0]


def _widen(head: dict[str, Any], channels: int) -> None:
    """Keep heads as wide as their input where they were: HRNet's own, and those without a convolution."""
    before = head['in_channels']
    width = before if isinstance(before, int) else sum(before)
    if head.get('channels') == width and (head.get('num_convs') == 0 or not isinstance(before, int)):
        head['channels'] = channels


def _select(head: dict[str, Any], places: Sequence[int], channels: Sequence[int]) -> None:
    """Let a head read the maps at some places."""
    if 'in_index' in head and list(head['in_index']) != list(places):
        head['in_index'] = like(head['in_index'], places)
    head['in_channels'] = like(head['in_channels'], [channels[place] for place in places])


def _streams_of(head: Mapping[str, Any], levels: LazyLevels, part: str) -> tuple[int, ...]:
    """The stream for each map that a head reads."""
    indices = head.get('in_index')
    if indices is None or tuple(indices) == STREAMS:
        return STREAMS[: len(head['in_channels'])]
    strides = levels().strides
    try:
        if len(strides) == len(STREAMS):
            # the usual four stages: the place says more than the stride, which dilation changes
            return tuple(STREAMS[i] for i in indices)
        return match_streams([strides[i] for i in indices])
    except (ValueError, IndexError) as error:
        raise SwapRefused(part, f'{head["type"]} reads maps {list(indices)}: {error}') from error
