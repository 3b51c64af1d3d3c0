"""Residual blocks against torchvision's ResNet blocks with the same weights."""

from __future__ import annotations

import pytest
import torch
from peers import assert_close, gradients, images, scramble
from torch import nn
from torchvision.models import resnet

from hrnet_mm.models.blocks import BasicBlock, Bottleneck

BLOCKS = {'basic': (BasicBlock, resnet.BasicBlock), 'bottleneck': (Bottleneck, resnet.Bottleneck)}
BN = {'type': 'BN'}


def build_blocks(kind: str, in_channels: int, channels: int, **kwargs) -> tuple[nn.Module, nn.Module]:
    """torchvision's block and ours, float64, with the same random weights."""
    ours_class, truth_class = BLOCKS[kind]
    out_channels = channels * truth_class.expansion
    downsample = None
    if in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
    truth = scramble(truth_class(in_channels, channels, downsample=downsample)).double()
    ours = ours_class(in_channels, channels, conv_cfg=None, norm_cfg=BN, **kwargs).double()
    assert list(ours.state_dict()) == list(truth.state_dict())
    ours.load_state_dict(truth.state_dict())
    return truth, ours


@pytest.mark.parametrize('kind', BLOCKS)
@pytest.mark.parametrize('in_channels', [8, 5])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('with_cp', [False, True])
def test_blocks_equal_torchvisions(kind, in_channels, training, with_cp):
    channels = 8 // BLOCKS[kind][1].expansion
    truth, ours = build_blocks(kind, in_channels, channels, with_cp=with_cp)
    truth.train(training), ours.train(training)
    x = images(channels=in_channels, size=(7, 5))
    assert_close(ours(x), truth(x), rel=1e-12)
    assert_close(gradients(ours, x), gradients(truth, x), rel=1e-12)


@pytest.mark.parametrize('kind', BLOCKS)
def test_checkpointing_stores_fewer_activations(kind):
    def stored(with_cp: bool) -> int:
        _, block = build_blocks(kind, 8, 8 // BLOCKS[kind][1].expansion, with_cp=with_cp)
        sizes = []

        def pack(x):
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            block(images(channels=8, size=(32, 32), requires_grad=True))
        return sum(sizes)

    assert stored(with_cp=True) < stored(with_cp=False) / 2


@pytest.mark.parametrize('kind', BLOCKS)
@pytest.mark.parametrize('in_channels', [8, 5])
def test_zeroed_blocks_are_their_shortcut(kind, in_channels):
    truth, ours = build_blocks(kind, in_channels, 8 // BLOCKS[kind][1].expansion)
    ours.zero_last_norm()
    nn.init.zeros_(getattr(ours, f'bn{ours.depth}').bias)
    x = images(channels=in_channels, size=(6, 6))
    shortcut = x if truth.downsample is None else truth.downsample(x)
    assert_close(ours(x), shortcut.relu(), rel=1e-12)


@pytest.mark.parametrize('kind', BLOCKS)
def test_blocks_leave_their_input_alone(kind):
    _, ours = build_blocks(kind, 8, 8 // BLOCKS[kind][1].expansion)
    x = images(channels=8, size=(4, 4))
    before = x.clone()
    ours(x)
    assert torch.equal(x, before)


def test_norms_are_named_after_their_type():
    block = BasicBlock(8, 8, conv_cfg=None, norm_cfg={'type': 'GN', 'num_groups': 2})
    assert [name for name, _ in block.named_children()] == ['conv1', 'gn1', 'conv2', 'gn2', 'relu']
    assert block.norm(2) is block.gn2
