"""HRNetV2Neck against mmseg's FCNHead, which the HRNetV2 configs use, with the same weights."""

from __future__ import annotations

import re

import pytest
import torch
from mmengine.registry import MODELS
from peers import (
    TINY_CHANNELS,
    assert_close,
    gradients,
    models_of,
    scramble,
    streams,
)
from torch import nn

from hrnet_mm import HRNetV2Neck

WIDTH = sum(TINY_CHANNELS)

pytestmark = [
    pytest.mark.filterwarnings('ignore::UserWarning:mmseg'),
    pytest.mark.filterwarnings('ignore:Unnecessary conv bias'),
]


class FCNFeatures(nn.Module):
    """The part of mmseg's FCNHead before its classifier."""

    def __init__(self, align_corners: bool, *, conv_bias: bool = False, **kwargs) -> None:
        super().__init__()
        head = models_of('mmseg').get('FCNHead')(
            in_channels=list(TINY_CHANNELS),
            in_index=(0, 1, 2, 3),
            channels=WIDTH,
            input_transform='resize_concat',
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=-1,
            num_classes=3,
            align_corners=align_corners,
            **(dict(norm_cfg=dict(type='BN')) | kwargs),
        )
        head.conv_seg = nn.Identity()
        if conv_bias:  # the authors' head has one, mmseg's cannot be asked for it
            head.convs[0].conv.bias = nn.Parameter(torch.zeros(WIDTH))
        self.head = head

    def forward(self, x) -> tuple[torch.Tensor]:
        return (self.head(x),)


def build_pair(align_corners: bool = False, **kwargs) -> tuple[nn.Module, nn.Module]:
    truth = scramble(FCNFeatures(align_corners, **kwargs)).double()
    ours = HRNetV2Neck(TINY_CHANNELS, align_corners=align_corners, **kwargs).double()
    ours.load_state_dict(renamed(truth.state_dict()), strict=True)
    return truth, ours


def renamed(of_head: dict) -> dict:
    """mmseg's names to ours."""
    return {k.replace('head.convs.0.', 'mix.'): v for k, v in of_head.items()}


VARIANTS = {
    'with bias': dict(conv_bias=True),
    'without bias': dict(conv_bias=False),
    'GN': dict(conv_bias=True, norm_cfg=dict(type='GN', num_groups=4)),
    'ConvWS': dict(conv_bias=False, conv_cfg=dict(type='ConvWS')),
    'leaky': dict(conv_bias=False, act_cfg=dict(type='LeakyReLU', negative_slope=0.1)),
}


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('size', [(16, 24), (7, 9)])
def test_the_mix_equals_mmsegs(variant, align_corners, training, size):
    truth, ours = build_pair(align_corners, **VARIANTS[variant])
    truth.train(training), ours.train(training)
    x = streams(size=size)
    assert list(ours.state_dict()) == list(renamed(truth.state_dict()))
    assert_close(ours(x), truth(x), rel=1e-12)
    with torch.no_grad():
        assert_close(ours(x), truth(x), rel=1e-12)

    found, expected = gradients(ours, *x), renamed(gradients(truth, *x))
    if training and variant == 'with bias':
        # a bias before a batch norm has the gradient zero: nothing to compare in it
        for grads in (found, expected):
            assert grads.pop('mix.conv.bias').abs().max() < 1e-9 * grads['mix.bn.bias'].abs().max()
    assert_close(found, expected, rel=1e-9)
    assert_close(dict(ours.state_dict()), renamed(truth.state_dict()), rel=1e-12)


def test_the_authors_bias_is_there_unless_declined():
    assert 'mix.conv.bias' in HRNetV2Neck(TINY_CHANNELS).state_dict()
    assert 'mix.conv.bias' not in HRNetV2Neck(TINY_CHANNELS, conv_bias=False).state_dict()


@pytest.mark.parametrize('grad', [True, False])
def test_float32(grad):
    truth, ours = (module.float().eval() for module in build_pair(conv_bias=True))
    x = streams(dtype=torch.float32)
    with torch.set_grad_enabled(grad):
        assert_close(ours(x), truth(x), rel=1e-5)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(16, 24), (7, 9), (1, 1)])
def test_without_the_mix_it_is_mmsegs_concatenation(align_corners, size):
    """``resize_concat`` of mmseg's heads."""
    head = FCNFeatures(align_corners).head
    neck = HRNetV2Neck(TINY_CHANNELS, mix=False, align_corners=align_corners)
    assert not neck.state_dict()
    x = streams(size=size)
    (found,) = neck(x)
    assert found.shape == (2, WIDTH, *size)
    assert_close(found, head._transform_inputs(x), rel=1e-14)


@pytest.mark.parametrize('mix', [True, False])
def test_a_list_of_streams_will_do(mix):
    neck = HRNetV2Neck(list(TINY_CHANNELS), mix=mix).double().eval()
    assert torch.equal(neck(list(streams()))[0], neck(streams())[0])


def test_it_is_built_by_name_from_any_scope():
    for scope in ('mmseg', 'mmpose', 'mmdet', 'mmpretrain'):
        neck = models_of(scope).build(dict(type='HRNetV2Neck', in_channels=TINY_CHANNELS))
        assert isinstance(neck, HRNetV2Neck)
        assert neck.out_channels == WIDTH
    assert MODELS.get('HRNetV2Neck') is HRNetV2Neck


@pytest.mark.parametrize('mix', [True, False])
@pytest.mark.parametrize('given', [(4, 8, 16), (4, 8, 16, 33), (32, 16, 8, 4)])
def test_wrong_streams_are_named(mix, given):
    expected = (
        rf'HRNetV2Neck was given {len(given)} streams of {re.escape(str(list(given)))} channels; '
        r'expected in_channels=\[4, 8, 16, 32\]'
    )
    with pytest.raises(ValueError, match=expected):
        HRNetV2Neck(TINY_CHANNELS, mix=mix)(streams(given, dtype=torch.float32))


@pytest.mark.parametrize('value', [[], 48, [4, 0]])
def test_wrong_in_channels_are_named(value):
    with pytest.raises(ValueError, match=rf'HRNetV2Neck: in_channels={re.escape(repr(value))} is not'):
        HRNetV2Neck(value)
