"""Residual blocks against torchvision's ResNet blocks with the same weights."""

from __future__ import annotations

import pytest
import torch
from peers import assert_close, gradients, images, scramble
from torch import nn
from torchvision.models import resnet

from hrnet_mm.models.arch import StageArch
from hrnet_mm.models.blocks import BasicBlock, Bottleneck, Layers
from hrnet_mm.models.stages import ResidualBlocks

BLOCKS = {'BASIC': (BasicBlock, resnet.BasicBlock), 'BOTTLENECK': (Bottleneck, resnet.Bottleneck)}
every_kind = pytest.mark.parametrize('kind', BLOCKS)


def build_blocks(kind: str, in_channels: int) -> tuple[nn.Module, nn.Module]:
    """torchvision's block and ours of 8 channels, float64, with the same random weights."""
    ours_class, truth_class = BLOCKS[kind]
    downsample = None
    if in_channels != 8:
        downsample = nn.Sequential(nn.Conv2d(in_channels, 8, 1, bias=False), nn.BatchNorm2d(8))
    channels = 8 // truth_class.expansion
    truth = scramble(truth_class(in_channels, channels, downsample=downsample)).double()
    ours = ours_class(in_channels, channels, Layers()).double()
    assert list(ours.state_dict()) == list(truth.state_dict())
    ours.load_state_dict(truth.state_dict())
    return truth, ours


@every_kind
@pytest.mark.parametrize('in_channels', [8, 5])
@pytest.mark.parametrize('training', [True, False])
def test_blocks_equal_torchvisions(kind, in_channels, training):
    truth, ours = build_blocks(kind, in_channels)
    truth.train(training), ours.train(training)
    x = images(channels=in_channels, size=(7, 5))
    before = x.clone()
    assert_close(ours(x), truth(x), rel=1e-12)
    assert torch.equal(x, before)
    assert_close(gradients(ours, x), gradients(truth, x), rel=1e-12)


@every_kind
def test_recomputing_stores_less_and_changes_nothing(kind):
    def run(with_cp: bool) -> tuple[int, dict]:
        arch = StageArch(1, kind, (2,), (8 // BLOCKS[kind][0].expansion,))
        chain = scramble(ResidualBlocks(5, arch, Layers(), stream=0, with_cp=with_cp)).double()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            chain(images(channels=5, size=(32, 32), requires_grad=True))
        return sum(sizes), gradients(chain, images(channels=5, size=(32, 32)))

    (stored, truth), (stored_less, found) = run(False), run(True)
    assert stored_less < stored / 2
    assert_close(found, truth, rel=1e-12)
