"""Batch norms on the meta device at once: only the shapes of their outputs are needed there.

Left alone, torch works them out by way of a dozen smaller operations, which is most of the time that a
network takes on the meta device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class QuickNorms(TorchDispatchMode):
    """Give batch norms' outputs on the meta device without working them out; everything else runs as ever."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        quick = _QUICK.get(func) if args and isinstance(args[0], Tensor) and args[0].is_meta else None
        return (quick or func)(*args, **(kwargs or {}))


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, and the mean and deviation kept for the way back, which tests don't need."""
    kept = x.shape[1] if training else 0
    return torch.empty_like(x), _statistic(x, kept), _statistic(x, kept)


def _batch_norm_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    kept_mean: Tensor | None,
    kept_deviation: Tensor | None,
    training: bool,
    eps: float,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weight and bias, those that are wanted."""
    image, scale, shift = wanted
    return (
        torch.empty_like(x) if image else None,
        _statistic(x, x.shape[1]) if scale else None,
        _statistic(x, x.shape[1]) if shift else None,
    )


def _statistic(x: Tensor, channels: int) -> Tensor:
    """One number per channel, never in half precision."""
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return torch.empty(channels, dtype=dtype, device=x.device)


_QUICK: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        torch.ops.aten.native_batch_norm.default: _batch_norm,
        torch.ops.aten.native_batch_norm_backward.default: _batch_norm_backward,
    }
)
