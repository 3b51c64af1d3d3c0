"""Which stream stands for which map."""

from __future__ import annotations

import pytest

from hrnet_mm.swap.levels import Levels, backbone_levels, hrnet_levels
from hrnet_mm.swap.refusal import SwapRefused
from hrnet_mm.swap.streams import match_streams


@pytest.mark.parametrize(
    ('strides', 'streams'),
    [
        ((4, 8, 16, 32), (0, 1, 2, 3)),
        ((8, 16, 32), (1, 2, 3)),
        ((16,), (2,)),
        ((8, 16), (1, 2)),
        ((4, 8, 8, 8), (0, 1, 2, 3)),  # dilated
        ((16, 16, 16, 16), (0, 1, 2, 3)),  # tokens
        ((2, 4, 16), (0, 1, 2)),
        ((32, 32), (2, 3)),
    ],
)
def test_each_map_gets_a_stream_of_its_own(strides: tuple[int, ...], streams: tuple[int, ...]) -> None:
    assert match_streams(strides) == streams


def test_five_maps_are_too_many() -> None:
    with pytest.raises(ValueError, match='5 maps'):
        match_streams((2, 4, 8, 16, 32))


def test_levels_are_measured() -> None:
    resnet = {'type': 'ResNet', 'depth': 18, 'out_indices': (1, 3), 'strides': (1, 2, 2, 1)}
    assert backbone_levels({**resnet, 'dilations': (1, 1, 1, 2)}, scope='mmdet') == Levels(
        (128, 512), (8, 16)
    )


def test_levels_need_no_weights() -> None:
    weights = {'type': 'Pretrained', 'checkpoint': 'nowhere.pth'}
    resnet = {'type': 'ResNet', 'depth': 18, 'init_cfg': weights}
    assert backbone_levels(resnet, scope='mmdet') == Levels((64, 128, 256, 512), (4, 8, 16, 32))
    assert resnet['init_cfg'] is weights


def test_levels_of_folded_norms() -> None:
    resnet = {'type': 'ResNet', 'depth': 18, 'norm_cfg': dict(type='BN', requires_grad=False, eps=0)}
    assert backbone_levels(resnet, scope='mmdet').strides == (4, 8, 16, 32)


def test_a_backbone_that_gives_no_maps_is_named() -> None:
    with pytest.raises(SwapRefused, match=r'model\.detector\.backbone: the backbone Nonet'):
        backbone_levels({'type': 'Nonet'}, scope='mmdet', part='model.detector.backbone')


def test_hrnet_doubles_channels_and_strides() -> None:
    assert hrnet_levels('w32') == Levels((32, 64, 128, 256), (4, 8, 16, 32))
