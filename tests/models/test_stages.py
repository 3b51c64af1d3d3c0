"""Fusion, transition and upsampling against the formulas of the paper, computed by hand."""

from __future__ import annotations

import pytest
import torch
from peers import assert_close, gradients, scramble, streams
from torch import Tensor, nn
from torch.nn import functional as F

from hrnet_mm.models.stages import Fusion, Transition, Upsampling

COMMON = dict(conv_cfg=None, norm_cfg={'type': 'BN'})
CHANNELS = (3, 5, 2)


# -- upsampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize('octaves', [1, 2, 3])
@pytest.mark.parametrize('size', [(8, 8), (7, 5), (1, 3)])
def test_nearest_repeats_on_the_grid_of_strides(octaves, size):
    low = [-(-s // 2**octaves) for s in size]
    x = torch.randn(2, 3, *low)
    truth = torch.empty(2, 3, *size)
    for row in range(size[0]):
        for column in range(size[1]):
            truth[:, :, row, column] = x[:, :, row // 2**octaves, column // 2**octaves]
    assert torch.equal(Upsampling('nearest')(x, octaves=octaves, size=size), truth)


@pytest.mark.parametrize('octaves', [1, 2, 3])
@pytest.mark.parametrize('align_corners', [False, True])
def test_bilinear_interpolates_between_sample_centres(octaves, align_corners):
    """Rows only (the operation is separable): each output is a mean of the two samples around it."""
    x = torch.randn(1, 1, 4, 1, dtype=torch.float64)
    column, scale = x[0, 0, :, 0], 2**octaves
    high = 4 * scale
    truth = []
    for row in range(high):
        at = row * (4 - 1) / (high - 1) if align_corners else (row + 0.5) / scale - 0.5
        at = min(max(at, 0.0), 3.0)
        below = min(int(at), 2)
        truth.append(column[below] + (at - below) * (column[below + 1] - column[below]))
    found = Upsampling('bilinear', align_corners)(x, octaves=octaves, size=(high, scale))
    assert_close(found[0, 0, :, 0], torch.stack(truth), rel=1e-12)


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(mode='nearest'), Upsampling('nearest', None)),
        (dict(mode='nearest', align_corners=None), Upsampling('nearest', None)),
        (dict(mode='nearest', align_corners=False), Upsampling('nearest', None)),
        (dict(mode='bilinear'), Upsampling('bilinear', False)),
        (dict(mode='bilinear', align_corners=None), Upsampling('bilinear', False)),
        (dict(mode='bilinear', align_corners=True), Upsampling('bilinear', True)),
    ],
)
def test_upsample_cfg_is_read(cfg, expected):
    assert Upsampling.from_cfg(cfg) == expected


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(mode='bicubic'), r"upsample_cfg\.mode='bicubic' is unknown; expected nearest or bilinear"),
        (dict(mode=None), r'upsample_cfg\.mode=None is unknown; expected nearest or bilinear'),
        (
            dict(mode='nearest', align_corners=True),
            r"align_corners=True does not go with mode='nearest'; expected True or False with bilinear",
        ),
        (
            dict(mode='bilinear', align_corners='yes'),
            r"align_corners='yes' does not go with mode='bilinear'; expected True or False",
        ),
        (dict(), r'upsample_cfg=\{\} is malformed; expected the key mode'),
        (dict(align_corners=True), r"upsample_cfg=\{'align_corners': True\} is malformed"),
        (dict(mode='nearest', scale=2), r"upsample_cfg=\{.*'scale': 2\} is malformed; expected the key"),
    ],
)
def test_a_wrong_upsample_cfg_is_named(cfg, message):
    with pytest.raises(ValueError, match=message):
        Upsampling.from_cfg(cfg)


# -- fusion ---------------------------------------------------------------------------------------


def conv_bn(x: Tensor, pair: nn.Sequential, *, stride: int = 1) -> Tensor:
    """Convolution and batch norm in eval mode, written out."""
    conv, bn = pair[0], pair[1]
    x = F.conv2d(x, conv.weight, stride=stride, padding=conv.weight.shape[-1] // 2)

    def column(v: Tensor) -> Tensor:
        return v[:, None, None]

    scale = column(bn.weight) / torch.sqrt(column(bn.running_var) + bn.eps)
    return (x - column(bn.running_mean)) * scale + column(bn.bias)


def repeat(x: Tensor, times: int, like: Tensor) -> Tensor:
    x = x.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
    return x[:, :, : like.shape[2], : like.shape[3]]


def fused_by_hand(f: nn.Module, x: tuple[Tensor, ...]) -> list[Tensor]:
    """Figure 3 of the paper for three streams."""
    return [
        x[0] + repeat(conv_bn(x[1], f[0][1]), 2, x[0]) + repeat(conv_bn(x[2], f[0][2]), 4, x[0]),
        conv_bn(x[0], f[1][0][0], stride=2) + x[1] + repeat(conv_bn(x[2], f[1][2]), 2, x[1]),
        conv_bn(conv_bn(x[0], f[2][0][0], stride=2).relu(), f[2][0][1], stride=2)
        + conv_bn(x[1], f[2][1][0], stride=2)
        + x[2],
    ]


def build_fusion(outputs: tuple[int, ...] = (0, 1, 2)) -> nn.Module:
    fusion = Fusion(CHANNELS, outputs=outputs, upsampling=Upsampling('nearest'), **COMMON)
    return scramble(fusion).double().eval()


@pytest.mark.parametrize('size', [(8, 12), (7, 5), (1, 1)])
def test_fusion_is_the_papers_sum(size):
    fusion = build_fusion()
    x = streams(CHANNELS, size)
    truth = [y.relu() for y in fused_by_hand(fusion, x)]
    assert_close(fusion(x), truth, rel=1e-12)


def test_fusion_leaves_its_streams_alone():
    fusion, x = build_fusion(), streams(CHANNELS, (8, 8))
    before = [y.clone() for y in x]
    fusion(x)
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


@pytest.mark.parametrize('outputs', [(0,), (1,), (2,), (0, 2), (1, 2)])
def test_fusion_builds_only_what_is_asked_for(outputs):
    everything, some = build_fusion(), build_fusion(outputs)
    rows = {str(i) for i in outputs}
    kept = {k: v for k, v in everything.state_dict().items() if k.split('.')[0] in rows}
    assert list(some.state_dict()) == list(kept)
    some.load_state_dict(kept)
    x = streams(CHANNELS, (8, 8))
    truth = fused_by_hand(everything, x)
    assert_close(some(x), [truth[i].relu() for i in outputs], rel=1e-12)
    assert all(g is not None for g in gradients(some, *x).values())


def test_fusion_of_one_stream_is_its_relu():
    fusion = Fusion((3,), outputs=(0,), upsampling=Upsampling('nearest'), **COMMON)
    (x,) = streams((3,), (4, 4))
    before = x.clone()
    (found,) = fusion([x])
    assert torch.equal(found, before.relu())
    assert torch.equal(x, before)
    assert not fusion.state_dict()


# -- transition -----------------------------------------------------------------------------------


def test_transition_keeps_widens_and_grows():
    """Stream 0 goes on, stream 1 is widened, streams 2 and 3 grow from the coarsest one."""
    transition = scramble(Transition((3, 5), (3, 6, 7, 8), **COMMON)).double().eval()
    x = streams((3, 5), (9, 8))
    found = transition(x)
    deeper = conv_bn(x[1], transition[3][0], stride=2).relu()
    truth = [
        x[0],
        conv_bn(x[1], transition[1]).relu(),
        conv_bn(x[1], transition[2][0], stride=2).relu(),
        conv_bn(deeper, transition[3][1], stride=2).relu(),
    ]
    assert_close(found, truth, rel=1e-12)
    assert found[0] is x[0]
