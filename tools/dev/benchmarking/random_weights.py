"""Random initialisation under which activations behave as in a trained network.

With a network's initial weights signals can die out layer by layer into denormal numbers, on which a CPU is
many times slower: such timings say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Ends of parameters' names of one dimension -> lowest and highest value. Most ReLUs stay open: random
#: networks whose ReLUs are half shut amplify roundings from layer to layer (measured on W32 in train mode,
#: another memory format alone: 1e-4 in the outputs, 3 % in the gradient; so 2e-6 and 0.1 %).
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    'running_mean': (-0.3, 0.3),
    'running_var': (0.5, 1.5),
    'weight': (0.2, 0.6),
    'bias': (0.2, 0.8),
}


def randomize(module: nn.Module, *, seed: int = 0) -> None:
    """Give every layer random weights of unit gain, and norms other than the identity, in place."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            low, high = _range_of(name, value)
            value.copy_(torch.empty(value.shape).uniform_(low, high, generator=generator))


def _range_of(name: str, value: Tensor) -> tuple[float, float]:
    if value.ndim < 2:
        return next((bounds for ending, bounds in _RANGES.items() if name.endswith(ending)), (-0.3, 0.3))
    bound = (3 / value[0].numel()) ** 0.5  # variance 1 / fan in
    return -bound, bound


def calibrate(module: nn.Module, forward: Callable[[], Any]) -> None:
    """Let batch norms take their statistics from one forward pass, as training would have left them."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        forward()
    for norm, (training, momentum) in zip(norms, before, strict=True):
        norm.train(training)
        norm.momentum = momentum
