"""``relu(conv(x) + bias + add)`` in one pass over memory: oneDNN's on a CPU, cuDNN's on an NVIDIA GPU.

PyTorch has both, for its own compiler. Where something records or rewrites what is called, or an operator
refuses, :class:`FusedConv` writes the same out with PyTorch's public ones.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.conv_norm import is_plain_cpu

#: Padding, stride, dilation and groups of a convolution, in the order of oneDNN's operators.
Geometry = tuple[Any, Any, Any, int]

_ONEDNN: Any = torch.ops.mkldnn
_CUDNN_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class FusedConv(nn.Module):
    """``relu(conv(x) + add)`` in one call.

    Args:
        conv: a convolution with zero padding, its norm already folded; copied.
        relu: whether a ReLU ends the call.
    """

    def __init__(self, conv: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        weight = conv.weight.detach().clone(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.relu = relu
        self.geometry: Geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self._packed: Tensor | None = None
        self._cudnn_refused = False

    def forward(self, x: Tensor, *, add: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``; ``add`` has the result's shape and may be overwritten."""
        if self.weight.dtype == torch.float32 and onednn_takes(x):
            if self._packed is None:
                self._packed = _packed(self.weight, self.geometry, x.shape)
            return _onednn_conv(x, self._packed, self.bias, self.geometry, relu=self.relu, add=add)
        if self.relu and not self._cudnn_refused and cudnn_takes(x, self.weight):
            try:
                return _cudnn_conv(x, self.weight, self.bias, self.geometry, add=add)
            except RuntimeError:  # cuDNN has no such kernel for this shape on this GPU
                self._cudnn_refused = True
        padding, stride, dilation, groups = self.geometry
        out = F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
        if add is not None:
            out = out + add
        return F.relu(out) if self.relu else out

    def _apply(self, fn: Any, recurse: bool = True) -> FusedConv:
        self._packed = None  # the weights are about to change
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_packed': None}  # oneDNN's tensors can be neither copied nor pickled


def is_recorded() -> bool:
    """Whether something watches or rewrites the calls: tracing, compilation, export, dispatch modes."""
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined]
        or torch._C._len_torch_dispatch_stack() > 0
    )


def onednn_takes(x: Tensor) -> bool:
    """Whether oneDNN's operators may be called with ``x`` now: float32 on a CPU, without gradients."""
    return (
        type(x) is Tensor
        and is_plain_cpu(x)
        and not torch.is_grad_enabled()
        and bool(torch.backends.mkldnn.enabled)
        and not is_recorded()
        and onednn_works()
    )


def cudnn_takes(x: Tensor, weight: Tensor) -> bool:
    """Whether cuDNN's operators may be called with ``x`` now: on an NVIDIA GPU, without gradients."""
    return (
        type(x) is Tensor
        and x.is_cuda
        and torch.version.cuda is not None
        and x.dtype == weight.dtype
        and x.dtype in _CUDNN_DTYPES
        and x.numel() > 0
        and not torch.is_grad_enabled()
        and bool(torch.backends.cudnn.enabled)
        and not torch.is_autocast_enabled('cuda')
        and not is_recorded()
    )


@cache
def onednn_works() -> bool:
    """Whether this torch has the operators that its own compiler uses, with the arguments given here."""
    if not torch.backends.mkldnn.is_available():
        return False

    def ones(*shape: int) -> Tensor:
        return torch.ones(*shape, device='cpu', dtype=torch.float32)

    x, weight, bias, geometry = ones(1, 1, 3, 3), ones(1, 1, 1, 1), ones(1), ([0, 0], [1, 1], [1, 1], 1)
    try:
        weight = _packed(weight, geometry, x.shape)
        plain = _onednn_conv(x, weight, bias, geometry, relu=True, add=None)
        total = _onednn_conv(x, weight, bias, geometry, relu=False, add=plain)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((total == 4).all())


def _packed(weight: Tensor, geometry: Geometry, shape: torch.Size) -> Tensor:
    """``weight`` in oneDNN's own order for inputs of ``shape``, which otherwise is made in every call."""
    result: Tensor = _ONEDNN._reorder_convolution_weight(weight, *geometry, list(shape))
    return result


def _onednn_conv(
    x: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, *, relu: bool, add: Tensor | None
) -> Tensor:
    """``relu(conv(x) + add)`` with a packed weight; ``add`` is overwritten. Channels last if ``x`` is."""
    result: Tensor
    if add is None:
        rectifier = 'relu' if relu else 'none'
        result = _ONEDNN._convolution_pointwise(x, weight, bias, *geometry, rectifier, [], '')
    else:
        result = _ONEDNN._convolution_pointwise_.binary(
            add, x, weight, bias, *geometry, 'add', 1.0, 'relu' if relu else None, [], None
        )
    return result


def _cudnn_conv(x: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, *, add: Tensor | None) -> Tensor:
    """``relu(conv(x) + bias + add)``; cuDNN has the kernel for maps that are channels last."""
    padding, stride, dilation, groups = geometry
    order = (stride, padding, dilation, groups)
    x = x.contiguous(memory_format=torch.channels_last)
    if add is None:
        return torch.cudnn_convolution_relu(x, weight, bias, *order)
    add = add.contiguous(memory_format=torch.channels_last)
    return torch.cudnn_convolution_add_relu(x, weight, add, 1.0, bias, *order)
