"""What of the old backbone carries over to HRNet."""

from __future__ import annotations

from typing import Any

import pytest

from hrnet_mm.swap.new_backbone import hrnet_backbone
from hrnet_mm.swap.request import SwapRequest

WEIGHTS = {'type': 'Pretrained', 'checkpoint': 'open-mmlab://msra/hrnetv2_w32'}


def _new(old: dict[str, Any], *, scope: str = 'mmdet', arch: str = 'w32', **kwargs: Any) -> dict[str, Any]:
    kwargs.setdefault('pretrained', True)
    new = hrnet_backbone({'type': 'ResNet', 'depth': 50, **old}, SwapRequest(arch), scope=scope, **kwargs)
    assert (new.pop('type'), new.pop('arch')) == ('HRNetBackbone', arch)
    return new


def test_weights_come_with_weights() -> None:
    assert _new({}) == {'init_cfg': WEIGHTS}
    assert _new({}, pretrained=False) == {'norm_eval': False}


def test_unknown_weights_freeze_nothing() -> None:
    old = {'frozen_stages': 1, 'norm_eval': True}
    assert _new(old, arch='w18_small_v1') == {'norm_eval': False}
    assert _new(old) == {'frozen_stages': 1, 'init_cfg': WEIGHTS}


@pytest.mark.parametrize(
    ('scope', 'old', 'written'),
    [
        ('mmdet', {'norm_eval': False}, {'norm_eval': False}),
        ('mmdet', {'norm_eval': True}, {}),
        ('mmdet', {'type': 'CSPDarknet'}, {'norm_eval': False}),  # its own default
        ('mmseg', {'norm_eval': True}, {'norm_eval': True}),
        ('mmseg', {}, {}),
    ],
)
def test_norm_eval_stays(scope: str, old: dict[str, Any], written: dict[str, Any]) -> None:
    new = _new(old, scope=scope)
    assert {key: new[key] for key in new if key == 'norm_eval'} == written


@pytest.mark.parametrize(
    ('norm', 'pretrained', 'expected'),
    [
        (dict(type='BN', requires_grad=True), True, None),
        (dict(type='SyncBN', requires_grad=True), True, dict(type='SyncBN', requires_grad=True)),
        (dict(type='BN', momentum=0.03, eps=0.001), True, None),
        (dict(type='BN', momentum=0.03, eps=0.001), False, dict(type='BN', momentum=0.03, eps=0.001)),
        (dict(type='BN', requires_grad=False), True, dict(type='BN', requires_grad=False)),
        (dict(type='BN', requires_grad=False), False, None),
        (dict(type='BN', requires_grad=False, eps=0), False, None),
        (dict(type='GN', num_groups=32), True, None),
        (dict(type='GN', num_groups=32), False, dict(type='GN', num_groups=16)),
        (dict(type='LN2d'), False, None),
    ],
)
def test_norms_stay_where_they_fit(norm: dict[str, Any], pretrained: bool, expected: Any) -> None:
    assert _new({'norm_cfg': norm}, arch='w48', pretrained=pretrained).get('norm_cfg') == expected


def test_channels_streams_and_checkpointing_stay() -> None:
    new = _new({'in_channels': 6, 'with_cp': True, 'style': 'caffe'}, streams=(1, 2, 3))
    assert new == {'in_channels': 6, 'out_indices': (1, 2, 3), 'with_cp': True, 'init_cfg': WEIGHTS}
    assert 'out_indices' not in _new({}, streams=(0, 1, 2, 3))
    assert _new({}, scope='mmpose', streams=(0, 1, 2, 3))['out_indices'] == (0, 1, 2, 3)


def test_frozen_stages_of_another_family_do_not_count_alike() -> None:
    assert 'frozen_stages' not in _new({'type': 'MobileNetV2', 'frozen_stages': 3})
    assert 'frozen_stages' not in _new({'frozen_stages': -1})
