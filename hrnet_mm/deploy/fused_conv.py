"""A convolution with what follows it, an addition and a ReLU, in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import onednn


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
        self.geometry = onednn.Geometry.of(conv)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, *, add: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``; ``add`` has the result's shape and is overwritten."""
        if self.weight.dtype == torch.float32 and onednn.takes(x):
            if self._packed is None:
                self._packed = onednn.packed(self.weight, self.geometry, x.shape)
            return onednn.convolution(x, self._packed, self.bias, self.geometry, relu=self.relu, add=add)
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
