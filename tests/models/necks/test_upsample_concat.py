"""The identity behind HRNetV2Neck and HRFPN against the concatenation written out."""

from __future__ import annotations

import re

import pytest
import torch
from mmcv.cnn import build_conv_layer
from peers import TINY_CHANNELS, assert_close, streams
from torch import nn
from torch.nn import functional as F

from hrnet_mm.models.necks import upsample_concat as module
from hrnet_mm.models.necks.upsample_concat import (
    check_in_channels,
    check_streams,
    conv1x1_of_concat,
    is_plain_conv1x1,
    upsample_concat,
)

SIZES = [(16, 24), (15, 9), (1, 1), (2, 3)]


def concat_by_hand(x, align_corners):
    height, width = x[0].shape[2:]
    resize = nn.Upsample((height, width), mode='bilinear', align_corners=align_corners)
    return torch.cat([resize(y) for y in x], dim=1)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('align_corners', [False, True])
def test_concatenation(size, align_corners):
    x = streams(size=size)
    truth = concat_by_hand(x, align_corners)
    assert_close(upsample_concat(x, align_corners=align_corners), truth, rel=1e-14)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('channels', [TINY_CHANNELS, (3,), (3, 2)])
@pytest.mark.parametrize('at_a_time', [1, 2**21], ids=['by channel', 'at once'])
def test_convolving_first_changes_neither_output_nor_gradient(
    monkeypatch, size, align_corners, bias, channels, at_a_time
):
    monkeypatch.setattr(module, '_AT_A_TIME', at_a_time)
    conv = nn.Conv2d(sum(channels), 7, 1, bias=bias).double()

    def run(function):
        conv.zero_grad()
        x = streams(channels, size, requires_grad=True)
        y = function(x)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        return [y, *(s.grad for s in x), *(p.grad for p in conv.parameters())]

    truth = run(lambda x: F.conv2d(concat_by_hand(x, align_corners), conv.weight, conv.bias))
    found = run(lambda x: conv1x1_of_concat(conv.weight, conv.bias, x, align_corners=align_corners))
    assert_close(found, truth, rel=1e-12)


@pytest.mark.parametrize('frozen', [(), (0,), (1,), (0, 1)], ids=str)
def test_sum_with_an_upsampled_map(frozen):
    """First and second derivatives, for whichever side wants them."""
    total, x = streams((2, 2), size=(4, 5))
    for number, y in enumerate((total, x)):
        y.requires_grad_(number not in frozen)

    def add(total, x):
        return module.add_upsampled(total.clone(), x).square()

    wanted = [y for y in (total, x) if y.requires_grad]
    assert_close(add(total, x), (total + concat_by_hand([total, x], False)[:, 2:]).square(), rel=1e-14)
    if wanted:
        assert torch.autograd.gradcheck(add, (total, x))
        assert torch.autograd.gradgradcheck(add, (total, x))


def test_no_image_at_all():
    x = [y[:0] for y in streams((2, 2))]
    assert module.add_upsampled(x[0], x[1]).shape == x[0].shape


@pytest.mark.parametrize(
    ('conv', 'plain'),
    [
        (nn.Conv2d(4, 4, 1), True),
        (nn.Conv2d(4, 4, 3, padding=1), False),
        (nn.Conv2d(4, 4, 1, groups=2), False),
        (build_conv_layer(dict(type='ConvWS'), 4, 4, 1), False),
        (nn.Linear(4, 4), False),
    ],
)
def test_the_identity_is_only_for_ordinary_1x1_convolutions(conv, plain):
    assert is_plain_conv1x1(conv) is plain


@pytest.mark.parametrize('given', [(4, 8, 16), (4, 8, 16, 32, 64), (8, 4, 16, 32), ()])
def test_wrong_streams_are_named(given):
    expected = (
        rf'Neck was given {len(given)} streams of {re.escape(str(list(given)))} channels; '
        r'expected in_channels=\[4, 8, 16, 32\]'
    )
    with pytest.raises(ValueError, match=expected):
        check_streams('Neck', streams(given), TINY_CHANNELS)


@pytest.mark.parametrize('value', [(), [], 64, None, 'abc', [4, 0], [4, -8], [4, 8.0], [None]])
def test_wrong_in_channels_are_named(value):
    expected = rf'Neck: in_channels={re.escape(repr(value))} is not a list of positive integers'
    with pytest.raises(ValueError, match=expected):
        check_in_channels('Neck', value)


@pytest.mark.parametrize('value', [[4, 8], (4, 8)])
def test_in_channels_become_a_list(value):
    assert check_in_channels('Neck', value) == [4, 8]
