"""Random weights under which activations behave as in a trained network.

With a network's initial weights signals can die out layer by layer into denormal numbers, on which a CPU is
many times slower: such timings say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from hrnet_mm.config.errors import ConfigError

#: Ends of parameters' names of one dimension -> lowest and highest value. Most ReLUs stay open: random
#: networks whose ReLUs are half shut amplify roundings from layer to layer (measured on W32 in train mode,
#: another memory format alone: 1e-4 in the outputs, 3 % in the gradient; so 2e-6 and 0.1 %).
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {'running_mean': (-0.3, 0.3), 'running_var': (0.5, 1.5), 'weight': (0.2, 0.6), 'bias': (0.2, 0.8)}
)
_OTHER_VECTORS = (-0.3, 0.3)
_MANY_DENORMALS = 1e-3  # share of a layer's outputs
_LOUDEST = 1e6


def enliven(module: nn.Module, *, seed: int = 0) -> None:
    """Give every layer random weights of unit gain, and norms other than the identity, in place."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            low, high = _range_of(name, value)
            value.copy_(torch.empty(value.shape).uniform_(low, high, generator=generator))


def _range_of(name: str, value: Tensor) -> tuple[float, float]:
    if value.ndim < 2:
        return next((bounds for ending, bounds in _RANGES.items() if name.endswith(ending)), _OTHER_VECTORS)
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


def require_lively(module: nn.Module, forward: Callable[[], Any], *, name: str) -> None:
    """Check every convolution's outputs during one forward pass.

    Raises:
        ConfigError: if some are not finite, too large, all zero or denormal.
    """
    faults: list[str] = []

    def look(layer: str, outputs: Any) -> None:
        for y in tree_leaves(outputs):
            fault = _fault(y.detach().float())
            if fault:
                faults.append(f'{layer} gives {fault}')

    hooks = [
        layer.register_forward_hook(lambda _, __, y, path=path: look(path, y))
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        with torch.no_grad():
            forward()
    finally:
        for hook in hooks:
            hook.remove()
    if faults:
        raise ConfigError(
            key='contestant', value=name, expected=f'activations fit for timing, but {faults[0]}'
        )


def _fault(y: Tensor) -> str | None:
    size = y.abs()
    if not torch.isfinite(size).all():
        return 'values that are not finite'
    if size.max() > _LOUDEST:
        return f'values up to {size.max():.1e}'
    if not size.any():
        return 'nothing but zeros'
    denormal = ((size > 0) & (size < torch.finfo(torch.float32).tiny)).float().mean()
    return f'{denormal:.1%} denormal numbers' if denormal > _MANY_DENORMALS else None
