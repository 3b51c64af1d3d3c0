"""A convolution with what follows it, an addition and a ReLU, in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ONEDNN: Any = torch.ops.mkldnn  # PyTorch's compiler calls the same operators


class FusedConv(nn.Module):
    """``relu(conv(x) + add)``: oneDNN does it in one pass where the tensors are on a CPU.

    Everywhere else (other devices, tracing, export, compilation) it is written out with PyTorch's own
    operators, which a compiler fuses by itself.

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
        self.geometry: tuple[Any, ...] = (conv.stride, conv.padding, conv.dilation, conv.groups)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``; ``add`` has the result's shape and is overwritten."""
        if self._onednn_can(x):
            return self._onednn(x, add)
        out = F.conv2d(x, self.weight, self.bias, *self.geometry)
        if add is not None:
            out = out + add
        return F.relu(out) if self.relu else out

    def _onednn_can(self, x: Tensor) -> bool:
        return (
            _ONEDNN_WORKS
            and x.device.type == 'cpu'
            and x.dtype == self.weight.dtype == torch.float32
            and not torch.is_grad_enabled()
            and not torch.jit.is_tracing()  # type: ignore[attr-defined]
            and not torch.compiler.is_compiling()
            and bool(torch.backends.mkldnn.enabled)
            and type(x) is Tensor
        )

    def _onednn(self, x: Tensor, add: Tensor | None) -> Tensor:
        stride, padding, dilation, groups = self.geometry
        if self._packed is None:
            # oneDNN's own order of the weights, which otherwise would be made anew in every call
            self._packed = _ONEDNN._reorder_convolution_weight(
                self.weight, padding, stride, dilation, groups, list(x.shape)
            )
        where = (padding, stride, dilation, groups)
        relu = 'relu' if self.relu else None
        if add is None:
            return _ONEDNN._convolution_pointwise(x, self._packed, self.bias, *where, relu or 'none', [], '')
        return _ONEDNN._convolution_pointwise_.binary(
            add, x, self._packed, self.bias, *where, 'add', 1.0, relu, [], None
        )

    def _apply(self, fn: Any, recurse: bool = True) -> FusedConv:
        self._packed = None  # the weights are about to change
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_packed': None}  # oneDNN's tensors can be neither copied nor pickled


def _onednn_works() -> bool:
    """Whether this torch has the operators that its own compiler uses, with the arguments given above."""
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        x, weight = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 1, 1)
        where = ([0, 0], [1, 1], [1, 1], 1)
        packed = _ONEDNN._reorder_convolution_weight(weight, *where, [1, 1, 3, 3])
        plain = _ONEDNN._convolution_pointwise(x, packed, torch.ones(1), *where, 'relu', [], '')
        total = _ONEDNN._convolution_pointwise_.binary(
            plain, x, packed, torch.ones(1), *where, 'add', 1.0, None, [], None
        )
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((total == 4).all())


_ONEDNN_WORKS = _onednn_works()
