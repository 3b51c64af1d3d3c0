"""Bytes of tensors, each storage once, and what stands in for norms and RoIs on the meta device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hrnet_mm.analysis import PeakMemory
from hrnet_mm.analysis.memory import QuickNorms
from hrnet_mm.analysis.running import _CutOuts

DEVICES = ['meta', 'cpu']


@pytest.mark.parametrize('device', DEVICES)
def test_a_storage_counts_once_and_until_its_last_tensor_is_gone(device):
    before = torch.empty(10, device=device)
    with PeakMemory([before, before[:5]]) as memory:
        assert memory.current == 40
        made = before + 1
        view = made.view(2, 5)
        assert memory.current == 80
        del made
        assert memory.current == 80
        del view
        assert memory.current == 40
        torch.empty(5, dtype=torch.float64, device=device)
    assert (memory.current, memory.peak) == (40, 80)


@pytest.mark.parametrize('training', [False, True])
def test_quick_norms_give_what_norms_give(training):
    """Shapes and types, on the meta device and a CPU, there and back."""
    grads = []
    for device in DEVICES:
        norm = nn.BatchNorm2d(3, device=device).train(training)
        x = torch.rand(2, 3, 4, 4, device=device, requires_grad=True)
        with QuickNorms():
            norm(x).sum().backward()
        grads.append([(t.grad.shape, t.grad.dtype) for t in (x, norm.weight, norm.bias)])
    assert grads[0] == grads[1]


def test_cut_outs_send_a_gradient_to_every_level():
    levels = [torch.rand(1, 2, side, side, requires_grad=True) for side in (8, 4)]
    cut_outs = _CutOuts.apply((5, 2, 7, 7), *levels)
    assert cut_outs.shape == (5, 2, 7, 7)
    cut_outs.sum().backward()
    assert [level.grad.shape for level in levels] == [level.shape for level in levels]
