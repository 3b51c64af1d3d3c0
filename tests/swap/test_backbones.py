"""What a backbone's maps are, which streams stand for them, and what of the old backbone carries over."""

from __future__ import annotations

from typing import Any

import pytest

from hrnet_mm.swap import SwapRefused, SwapRequest
from hrnet_mm.swap.backbones import Levels, backbone_levels, hrnet_backbone
from hrnet_mm.swap.necks import match_streams

WEIGHTS = {'type': 'Pretrained', 'checkpoint': 'open-mmlab://msra/hrnetv2_w32'}


@pytest.mark.parametrize(
    ('strides', 'streams'),
    [((16,), (2,)), ((16, 16, 16, 16), (0, 1, 2, 3)), ((2, 4, 16), (0, 1, 2)), ((32, 32), (2, 3))],
)
def test_each_map_gets_a_stream_of_its_own(strides: tuple[int, ...], streams: tuple[int, ...]) -> None:
    assert match_streams(strides) == streams


@pytest.mark.parametrize(
    ('settings', 'channels', 'strides'),
    [
        ({'init_cfg': {**WEIGHTS, 'checkpoint': 'nowhere.pth'}}, (64, 128, 256, 512), (4, 8, 16, 32)),
        ({'norm_cfg': dict(type='BN', requires_grad=False, eps=0)}, (64, 128, 256, 512), (4, 8, 16, 32)),
        (dict(out_indices=(1, 3), strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)), (128, 512), (8, 16)),
    ],
    ids=['weights are not loaded', 'folded norms', 'dilated'],
)
def test_levels_are_measured(settings: dict[str, Any], channels: Any, strides: Any) -> None:
    resnet = {'type': 'ResNet', 'depth': 18, **settings}
    assert backbone_levels(resnet, scope='mmdet') == Levels(channels, strides)


def test_a_backbone_that_gives_no_maps_is_named() -> None:
    with pytest.raises(SwapRefused, match=r'model\.detector\.backbone: the backbone Nonet'):
        backbone_levels({'type': 'Nonet'}, scope='mmdet', part='model.detector.backbone')


def _new(old: dict[str, Any], *, scope: str = 'mmdet', arch: str = 'w32', **kwargs: Any) -> dict[str, Any]:
    """What the new backbone's dict says beside its type and arch."""
    kwargs = {'pretrained': True, 'streams': (0,) if scope == 'mmpose' else (0, 1, 2, 3), **kwargs}
    new = hrnet_backbone({'type': 'ResNet', 'depth': 50, **old}, SwapRequest(arch), scope=scope, **kwargs)
    assert (new.pop('type'), new.pop('arch')) == ('HRNetBackbone', arch)
    return new


def test_weights_come_with_weights_and_unknown_ones_freeze_nothing() -> None:
    assert _new({}) == {'init_cfg': WEIGHTS}
    assert _new({}, pretrained=False) == {'norm_eval': False}
    old = {'frozen_stages': 1, 'norm_eval': True}
    assert _new(old) == {'frozen_stages': 1, 'init_cfg': WEIGHTS}
    assert _new(old, arch='w18_small_v1') == {'norm_eval': False}
    assert 'frozen_stages' not in _new({'type': 'MobileNetV2', 'frozen_stages': 3}), 'others count otherwise'


@pytest.mark.parametrize(
    ('scope', 'old', 'written'),
    [
        ('mmdet', {'norm_eval': False}, False),
        ('mmdet', {'norm_eval': True}, None),
        ('mmdet', {'type': 'CSPDarknet'}, False),  # its own default
        ('mmseg', {'norm_eval': True}, True),
        ('mmseg', {}, None),
    ],
)
def test_norm_eval_stays(scope: str, old: dict[str, Any], written: bool | None) -> None:
    assert _new(old, scope=scope).get('norm_eval') is written


@pytest.mark.parametrize(
    ('norm', 'pretrained', 'expected'),
    [
        (dict(type='SyncBN', requires_grad=True), True, dict(type='SyncBN', requires_grad=True)),
        (dict(type='BN', momentum=0.03, eps=0.001), True, None),
        (dict(type='BN', momentum=0.03, eps=0.001), False, dict(type='BN', momentum=0.03, eps=0.001)),
        (dict(type='BN', requires_grad=False), True, dict(type='BN', requires_grad=False)),
        (dict(type='BN', requires_grad=False, eps=0), False, None),
        (dict(type='GN', num_groups=32), True, None),
        (dict(type='GN', num_groups=32), False, dict(type='GN', num_groups=16)),
    ],
)
def test_norms_stay_where_they_fit(norm: dict[str, Any], pretrained: bool, expected: Any) -> None:
    assert _new({'norm_cfg': norm}, arch='w48', pretrained=pretrained).get('norm_cfg') == expected


def test_channels_streams_and_checkpointing_stay() -> None:
    new = _new({'in_channels': 6, 'with_cp': True, 'style': 'caffe'}, streams=(1, 2, 3))
    assert new == {'in_channels': 6, 'out_indices': (1, 2, 3), 'with_cp': True, 'init_cfg': WEIGHTS}
    assert 'out_indices' not in _new({}, scope='mmpose')
    assert _new({}, scope='mmpose', streams=(0, 1, 2, 3))['out_indices'] == (0, 1, 2, 3)
