"""The machine's rate on a clock that knows how fast the machine is."""

from __future__ import annotations

import pytest
import torch
from benchmarking import rate
from benchmarking.timer import Clock


def test_the_best_of_all_is_the_rate(monkeypatch) -> None:
    """Products at 2 GMAC/s, convolutions at 5."""
    now = [0.0]

    def product(a: torch.Tensor, b: torch.Tensor) -> None:
        now[0] += len(a) ** 3 / 2e9

    def convolution(x: torch.Tensor, weight: torch.Tensor, padding: int) -> None:
        assert padding == 1 and x.is_contiguous(memory_format=torch.channels_last)
        now[0] += x[:, :1].numel() * weight.numel() / 5e9

    monkeypatch.setattr(rate.torch, 'mm', product)
    monkeypatch.setattr(rate.F, 'conv2d', convolution)
    found = rate.machine_rate(device='cpu', precision='fp32', clock=Clock(now=lambda: now[0]))
    assert found.macs_per_second == pytest.approx(5e9)
    assert found.measured_by == '3x3 convolution 1x16x16x16, channels last'
    assert found.all['torch.mm 64x64x64'] == pytest.approx(2e9)
    assert len(found.all) == 3


def test_it_is_really_measured() -> None:
    found = rate.machine_rate(device='cpu', precision='bf16', clock=Clock())
    assert 1e6 < found.macs_per_second < 1e15
