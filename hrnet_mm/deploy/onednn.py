"""oneDNN's convolution with what follows it, an addition and a ReLU, in one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..models.layout import is_recorded

_OPERATORS: Any = torch.ops.mkldnn  # PyTorch's compiler calls the same operators


class Geometry(NamedTuple):
    """How a convolution moves over its input."""

    padding: Sequence[int]
    stride: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Geometry:
        """The geometry of ``conv``, whose padding must be zeros and given in numbers."""
        return cls(conv.padding, conv.stride, conv.dilation, conv.groups)  # type: ignore[arg-type]


def takes(x: Tensor) -> bool:
    """Whether ``x`` may go through :func:`convolution` now: float32 on a CPU, without gradients.

    Not while something else watches or rewrites what is computed: tracing, compilation, autocast, dispatch
    modes such as PyTorch's counter of operations. They know PyTorch's own operators.
    """
    return (
        WORKS
        and type(x) is Tensor
        and x.device.type == 'cpu'
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled('cpu')
        and not is_recorded()
        and bool(torch.backends.mkldnn.enabled)
        and torch._C._len_torch_dispatch_stack() == 0
    )


def packed(weight: Tensor, geometry: Geometry, shape: Sequence[int]) -> Tensor:
    """``weight`` in oneDNN's own order for inputs of ``shape``, which otherwise is made in every call."""
    result: Tensor = _OPERATORS._reorder_convolution_weight(weight, *geometry, list(shape))
    return result


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, *, relu: bool, add: Tensor | None = None
) -> Tensor:
    """``relu(conv(x) + add)``.

    Args:
        x: ``(N, C, H, W)``, float32 on a CPU.
        weight: what :func:`packed` made of one of ``(C', C / groups, h, w)``.
        bias: ``(C',)``.
        relu: whether a ReLU ends the call.
        add: of the result's shape and memory format; it is overwritten with the result.

    Returns:
        ``(N, C', H', W')``; channels last if ``x`` is.
    """
    rectifier = 'relu' if relu else None
    result: Tensor
    if add is None:
        result = _OPERATORS._convolution_pointwise(x, weight, bias, *geometry, rectifier or 'none', [], '')
    else:
        result = _OPERATORS._convolution_pointwise_.binary(
            add, x, weight, bias, *geometry, 'add', 1.0, rectifier, [], None
        )
    return result


def _works() -> bool:
    """Whether this torch has the operators that its own compiler uses, with the arguments given above."""
    if not torch.backends.mkldnn.is_available():
        return False
    with torch.inference_mode():
        x, weight, bias = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 1, 1), torch.ones(1)
        how = Geometry([0, 0], [1, 1], [1, 1], 1)
        try:
            weight = packed(weight, how, x.shape)
            plain = convolution(x, weight, bias, how, relu=True)
            total = convolution(x, weight, bias, how, relu=False, add=plain)
        except (AttributeError, RuntimeError, TypeError):
            return False
        return bool((total == 4).all())


WORKS = _works()
