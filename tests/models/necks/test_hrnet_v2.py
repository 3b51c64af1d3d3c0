"""HRNetV2Neck against mmseg's FCNHead, which the HRNetV2 configs use, with the same weights."""

from __future__ import annotations

import re

import pytest
import torch
from mmcv.cnn import build_conv_layer
from peers import TINY_CHANNELS, assert_close, gradients, models_of, scramble, streams
from torch import nn
from torch.nn import functional as F

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


CASES = [*((variant, False, True, (16, 24)) for variant in VARIANTS), ('with bias', True, False, (7, 9))]
CASES += [('without bias', True, True, (7, 9)), ('with bias', False, False, (16, 24))]


@pytest.mark.parametrize(('variant', 'align_corners', 'training', 'size'), CASES)
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


def test_folded_in_float32():
    truth, ours = (module.float().eval() for module in build_pair(conv_bias=True))
    x = streams(size=(32, 48), dtype=torch.float32)
    assert_close(ours(x), truth(x), rel=1e-5)
    ours.mix.bn.forward = None  # it must not be called
    with torch.no_grad():
        assert_close(ours(x), truth(x), rel=1e-5)


@pytest.mark.parametrize(('align_corners', 'size'), [(False, (16, 24)), (True, (7, 9)), (False, (1, 1))])
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
@pytest.mark.parametrize('given', [(4, 8, 16), (32, 16, 8, 4), ()])
def test_wrong_streams_are_named(mix, given):
    expected = (
        rf'HRNetV2Neck was given {len(given)} streams of {re.escape(str(list(given)))} channels; '
        r'expected in_channels=\[4, 8, 16, 32\]'
    )
    with pytest.raises(ValueError, match=expected):
        HRNetV2Neck(TINY_CHANNELS, mix=mix)(streams(given, dtype=torch.float32))


@pytest.mark.parametrize('value', [(), 64, None, 'abc', [4, 0], [4, 8.0]])
def test_wrong_in_channels_are_named(value):
    expected = rf'HRNetV2Neck: in_channels={re.escape(repr(value))} is not a list of positive integers'
    with pytest.raises(ValueError, match=expected):
        HRNetV2Neck(value)


# -- the concatenation and its convolution --------------------------------------------------------


def concat_by_hand(x, align_corners):
    height, width = x[0].shape[2:]
    resize = nn.Upsample((height, width), mode='bilinear', align_corners=align_corners)
    return torch.cat([resize(y) for y in x], dim=1)


IDENTITY = [
    ((16, 24), False, True, TINY_CHANNELS),
    ((15, 9), True, True, TINY_CHANNELS),
    ((1, 1), False, False, TINY_CHANNELS),
    ((2, 3), True, False, (3, 2)),
    ((7, 9), False, True, (3,)),
]


@pytest.mark.parametrize(('size', 'align_corners', 'bias', 'channels'), IDENTITY)
@pytest.mark.parametrize('at_a_time', [1, 2**21], ids=['by channel', 'at once'])
def test_convolving_first_changes_neither_output_nor_gradient(
    monkeypatch, size, align_corners, bias, channels, at_a_time
):
    monkeypatch.setattr(module, '_AT_A_TIME', at_a_time)
    conv = nn.Conv2d(sum(channels), 7, 1, bias=bias).double()

    def by_hand(x):
        return F.conv2d(concat_by_hand(x, align_corners), conv.weight, conv.bias)

    def convolved_first(x):
        return module.conv1x1_of_concat(conv.weight, conv.bias, x, align_corners=align_corners)

    def run(function):
        conv.zero_grad()
        x = streams(channels, size, requires_grad=True)
        y = function(x)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        return [y, *(s.grad for s in x), *(p.grad for p in conv.parameters())]

    assert_close(run(convolved_first), run(by_hand), rel=1e-12)
    conv.float()
    x = streams(channels, size, dtype=torch.float32)
    with torch.no_grad():  # where a CPU adds a few channels at a time
        assert_close(convolved_first(x), by_hand(x), rel=1e-5)


def test_the_identity_is_only_for_ordinary_1x1_convolutions():
    assert module.is_plain_conv1x1(nn.Conv2d(4, 4, 1))
    others = [nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1, groups=2)]
    for conv in (*others, build_conv_layer(dict(type='ConvWS'), 4, 4, 1)):
        assert not module.is_plain_conv1x1(conv)
