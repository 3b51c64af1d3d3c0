"""How many multiply-accumulates a second this machine reaches in what it does best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch.nn import functional as F

from .request import PRECISIONS
from .timer import Clock, runs_per_turn, seconds_of

#: Sides of square matrices.
_SIDES: Mapping[str, tuple[int, ...]] = MappingProxyType({'cpu': (512, 1024, 2048), 'cuda': (4096, 8192)})
#: Batch, channels in and out, height and width of 3x3 convolutions.
_CONVOLUTIONS: Mapping[str, tuple[tuple[int, int, int], ...]] = MappingProxyType(
    {'cpu': ((1, 128, 96), (1, 256, 64)), 'cuda': ((32, 256, 128), (32, 512, 64))}
)
_TRIES = 5


@dataclass(frozen=True)
class Rate:
    """The machine's rate.

    Attributes:
        macs_per_second: the best that was measured.
        measured_by: what reached it.
        all: everything that was measured, multiply-accumulates a second.
    """

    macs_per_second: float
    measured_by: str
    all: Mapping[str, float]


def machine_rate(*, device: str, precision: str, clock: Clock) -> Rate:
    """Measure matrix products and large convolutions, and keep the best.

    Both, because a BLAS that does not suit the processor is slower than oneDNN's convolutions, and the other
    way round elsewhere. Each is measured by the best of some tries.
    """
    dtype = PRECISIONS[precision]
    found: dict[str, float] = {}
    with torch.no_grad():
        for side in _SIDES[device]:
            found[f'torch.mm {side}x{side}x{side}'] = side**3 / _best(_product(side, device, dtype), clock)
        for batch, channels, size in _CONVOLUTIONS[device]:
            name = f'3x3 convolution {batch}x{channels}x{size}x{size}, channels last'
            macs = batch * size * size * channels * channels * 9
            found[name] = macs / _best(_convolution(batch, channels, size, device, dtype), clock)
    best = max(found, key=lambda name: found[name])
    return Rate(found[best], best, MappingProxyType(found))


def _product(side: int, device: str, dtype: torch.dtype) -> Callable[[], Any]:
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(a, b)


def _convolution(batch: int, channels: int, size: int, device: str, dtype: torch.dtype) -> Callable[[], Any]:
    x = torch.randn(batch, channels, size, size, device=device, dtype=dtype)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    x, weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, weight))
    return lambda: F.conv2d(x, weight, padding=1)


def _best(job: Callable[[], Any], clock: Clock) -> float:
    once = seconds_of(job, clock=clock)
    runs = runs_per_turn(once, shortest=0.05)
    return min(seconds_of(job, clock=clock, runs=runs) for _ in range(_TRIES))
