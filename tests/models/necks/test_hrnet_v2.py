"""HRNetV2Neck against mmseg's FCNHead, which the HRNetV2 configs use, with the same weights."""

from __future__ import annotations

import re

import pytest
import torch
from mmcv.cnn import build_conv_layer
from peers import TINY_CHANNELS, assert_close, gradients, models_of, scramble, streams
from torch import nn

from hrnet_mm import HRNetV2Neck
from hrnet_mm.models.necks import hrnet_v2 as module

WIDTH = sum(TINY_CHANNELS)

pytestmark = [
    pytest.mark.filterwarnings('ignore::UserWarning:mmseg'),
    pytest.mark.filterwarnings('ignore:Unnecessary conv bias'),
]


class FCNFeatures(nn.Module):
    """The part of mmseg's FCNHead before its classifier."""

    def __init__(self, align_corners: bool, *, conv_bias: bool = False, **kwargs) -> None:
        super().__init__()
        one_conv = dict(kernel_size=1, num_convs=1, concat_input=False, dropout_ratio=-1, num_classes=3)
        all_streams = dict(in_channels=list(TINY_CHANNELS), in_index=(0, 1, 2, 3), channels=WIDTH)
        head = models_of('mmseg').get('FCNHead')(
            **all_streams,
            **one_conv,
            input_transform='resize_concat',
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
CASES = [*((variant, False, True, (16, 24)) for variant in VARIANTS), ('with bias', True, False, (7, 9))]
CASES += [('without bias', True, True, (7, 9)), ('with bias', False, False, (16, 24))]


@pytest.mark.parametrize(('variant', 'align_corners', 'training', 'size'), CASES)
def test_the_mix_equals_mmsegs(variant, align_corners, training, size):
    truth, ours = build_pair(align_corners, **VARIANTS[variant])
    truth.train(training), ours.train(training)
    x = streams(size=size)
    assert list(ours.state_dict()) == list(renamed(truth.state_dict()))
    assert_close(ours(x), truth(x), rel=1e-12)
    found, expected = gradients(ours, *x), renamed(gradients(truth, *x))
    if training and variant == 'with bias':
        # a bias before a batch norm has the gradient zero: nothing to compare in it
        for grads in (found, expected):
            assert grads.pop('mix.conv.bias').abs().max() < 1e-9 * grads['mix.bn.bias'].abs().max()
    assert_close(found, expected, rel=1e-9)
    assert_close(dict(ours.state_dict()), renamed(truth.state_dict()), rel=1e-12)


@pytest.mark.parametrize('at_a_time', [1, 2**21], ids=['by channel', 'at once'])
@pytest.mark.parametrize('align_corners', [False, True])
def test_folded_in_float32(align_corners, at_a_time, monkeypatch):
    """Where a CPU adds a few channels at a time."""
    monkeypatch.setattr(module, '_AT_A_TIME', at_a_time)
    truth, ours = (one.float().eval() for one in build_pair(align_corners, conv_bias=True))
    ours.mix.bn.forward = None  # it must not be called
    x = streams(size=(31, 48), dtype=torch.float32)
    with torch.no_grad():
        assert_close(ours(x), truth(x), rel=1e-5)


@pytest.mark.parametrize(('align_corners', 'size'), [(False, (16, 24)), (True, (7, 9)), (False, (1, 9))])
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
def test_wrong_streams_are_named(mix):
    expected = (
        r'HRNetV2Neck was given 3 streams of \[4, 8, 16\] channels; expected in_channels=\[4, 8, 16, 32\]'
    )
    with pytest.raises(ValueError, match=expected):
        HRNetV2Neck(TINY_CHANNELS, mix=mix)(streams((4, 8, 16), dtype=torch.float32))


@pytest.mark.parametrize('value', [(), 64, 'abc', [4, 8.0]])
def test_wrong_in_channels_are_named(value):
    expected = rf'HRNetV2Neck: in_channels={re.escape(repr(value))} is not a list of positive integers'
    with pytest.raises(ValueError, match=expected):
        HRNetV2Neck(value)


def test_the_convolution_comes_first_only_if_it_is_an_ordinary_1x1():
    assert module.is_plain_conv1x1(nn.Conv2d(4, 4, 1))
    others = [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, groups=2)]
    for conv in (*others, build_conv_layer(dict(type='ConvWS'), 4, 4, 1)):
        assert not module.is_plain_conv1x1(conv)
