"""Fusion, transition and upsampling against the formulas of the paper, computed by hand."""

from __future__ import annotations

import pytest
import torch
from peers import assert_close, build_ours, build_peer, gradients, images, scramble, stage, streams, tiny
from torch import Tensor, nn
from torch.nn import functional as F

from hrnet_mm import HRNetBackbone
from hrnet_mm.models.blocks import Layers
from hrnet_mm.models.stages import Fusion, Transition, Upsampling

CHANNELS = (3, 5, 2)


# -- upsampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize(('octaves', 'size'), [(1, (8, 8)), (2, (7, 5)), (3, (1, 3)), (3, (16, 9))])
def test_nearest_repeats_on_the_grid_of_strides(octaves, size):
    low = [-(-s // 2**octaves) for s in size]
    x = torch.randn(2, 3, *low)
    truth = torch.empty(2, 3, *size)
    for row in range(size[0]):
        for column in range(size[1]):
            truth[:, :, row, column] = x[:, :, row // 2**octaves, column // 2**octaves]
    assert torch.equal(Upsampling('nearest')(x, octaves=octaves, size=size), truth)


@pytest.mark.parametrize('octaves', [1, 3])
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


def test_upsample_cfg_is_read():
    bilinear = dict(mode='bilinear')
    assert Upsampling.from_cfg(dict(mode='nearest', align_corners=False)) == Upsampling('nearest', None)
    assert Upsampling.from_cfg(bilinear) == Upsampling('bilinear', False)
    assert Upsampling.from_cfg(bilinear | dict(align_corners=True)) == Upsampling('bilinear', True)
    for wrong, message in (
        (dict(mode='nearest', align_corners=True), r"align_corners=True does not go with mode='nearest'"),
        (dict(mode='bilinear', align_corners='yes'), r"align_corners='yes' does not go with mode='bilinear'"),
        (dict(align_corners=True), r"upsample_cfg=\{'align_corners': True\} is malformed"),
        (dict(mode='nearest', scale=2), r"upsample_cfg=\{.*'scale': 2\} is malformed; expected the key"),
    ):
        with pytest.raises(ValueError, match=message):
            Upsampling.from_cfg(wrong)


# -- fusion ---------------------------------------------------------------------------------------


def conv_bn(x: Tensor, pair: nn.Sequential, *, stride: int = 1) -> Tensor:
    """Convolution and batch norm in eval mode."""
    conv, bn = pair[0], pair[1]
    x = F.conv2d(x, conv.weight, stride=stride, padding=conv.weight.shape[-1] // 2)
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)


def repeat(x: Tensor, times: int, like: Tensor) -> Tensor:
    x = x.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
    return x[:, :, : like.shape[2], : like.shape[3]]


def fused_by_hand(f: nn.Module, x: tuple[Tensor, ...]) -> list[Tensor]:
    """Figure 3 of the paper for three streams."""
    sums = [
        x[0] + repeat(conv_bn(x[1], f[0][1]), 2, x[0]) + repeat(conv_bn(x[2], f[0][2]), 4, x[0]),
        conv_bn(x[0], f[1][0][0], stride=2) + x[1] + repeat(conv_bn(x[2], f[1][2]), 2, x[1]),
        conv_bn(conv_bn(x[0], f[2][0][0], stride=2).relu(), f[2][0][1], stride=2)
        + conv_bn(x[1], f[2][1][0], stride=2)
        + x[2],
    ]
    return [y.relu() for y in sums]


@pytest.mark.parametrize('size', [(8, 12), (7, 5), (1, 1)])
def test_fusion_is_the_papers_sum_and_leaves_its_streams_alone(size):
    fusion = scramble(Fusion(CHANNELS, Layers(), Upsampling('nearest'), outputs=(0, 1, 2))).double().eval()
    x = streams(CHANNELS, size)
    before = [y.clone() for y in x]
    assert_close(fusion(x), fused_by_hand(fusion, x), rel=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


def test_fusion_of_one_stream_is_its_relu():
    fusion = Fusion((3,), Layers(), Upsampling('nearest'), outputs=(0,))
    (x,) = streams((3,), (4, 4))
    before = x.clone()
    (found,) = fusion([x])
    assert torch.equal(found, before.relu()) and torch.equal(x, before)


# -- fewer fusions --------------------------------------------------------------------------------

#: Three modules in stages 3 and 4, so that first, middle and last can differ.
EXTRA = tiny() | dict(
    stage3=stage(3, 'BASIC', (1,) * 3, (4, 8, 16)), stage4=stage(3, 'BASIC', (1,) * 4, (4, 8, 16, 32))
)


def without_fusions(peer: nn.Module, fusions: tuple[int, int, int]) -> nn.Module:
    """Cut the peer's fusions but for the last ones of each stage."""
    for number, count in zip((2, 3, 4), fusions, strict=True):
        modules = list(getattr(peer, f'stage{number}'))
        for module in modules[: len(modules) - count]:
            module.forward = lambda streams, module=module: [
                branch(x) for branch, x in zip(module.branches, streams, strict=True)
            ]
    return peer


@pytest.mark.parametrize('fusions', [(1, 3, 3), (1, 1, 1), (0, 2, 3), (0, 0, 0)])
def test_fewer_fusions_equal_mmpose_without_them(fusions) -> None:
    extra = EXTRA | dict(stage4=EXTRA['stage4'] | dict(multiscale_output=True))
    peer = without_fusions(scramble(build_peer('mmpose', extra=extra)).double(), fusions)
    ours = build_ours('mmpose', extra=extra, fusions=fusions).double()
    missing, unexpected = ours.load_state_dict(peer.state_dict(), strict=False)
    assert not missing
    assert all('fuse_layers' in key for key in unexpected)
    peer.train(), ours.train()
    x = images()
    truth = {key: value for key, value in gradients(peer, x).items() if value is not None}
    assert_close(gradients(ours, x), truth, rel=1e-10)
    assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-12)


@pytest.mark.parametrize(('fusions', 'units'), [(None, 8), ((1, 1, 1), 3), ((0, 0, 1), 1)])
def test_the_papers_three_rows(fusions, units) -> None:
    """W32 has eight exchange units; the ablation keeps three (across stages) or one (the final)."""
    with torch.device('meta'):
        model = HRNetBackbone('w32', fusions=fusions)
    assert sum(isinstance(module, Fusion) for module in model.modules()) == units


@pytest.mark.parametrize('fusions', [(1, 4), (1, 4, 3), (0, -1, 1), 'all', (True, 1, 1)])
def test_wrong_counts_are_refused(fusions) -> None:
    with pytest.raises(ValueError, match=r'fusions=.*expected 3 integers from 0 to \(1, 3, 3\)'):
        build_ours(extra=EXTRA, fusions=fusions)


# -- transition -----------------------------------------------------------------------------------


def test_transition_keeps_widens_and_grows():
    """Stream 0 goes on, stream 1 is widened, streams 2 and 3 grow from the coarsest one."""
    transition = scramble(Transition((3, 5), (3, 6, 7, 8), Layers())).double().eval()
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
