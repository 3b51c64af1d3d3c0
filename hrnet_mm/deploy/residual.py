"""The inference form of a residual block; its norms must be folded already."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..models.blocks import ResidualBlock
from .fused_conv import FusedConv


class FusedResidual(nn.Module):
    """A residual block whose addition and ReLU belong to its last convolution."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        convs = [getattr(block, f'conv{number}') for number in range(1, block.depth + 1)]
        self.convs = nn.ModuleList(FusedConv(conv, relu=True) for conv in convs)
        shortcut: Any = block.downsample
        self.downsample = None if shortcut is None else FusedConv(shortcut[0], relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H, W)``; without a downsampling shortcut ``x`` is overwritten."""
        out = x
        *before, last = self.convs
        for conv in before:
            out = conv(out)
        return last(out, add=x if self.downsample is None else self.downsample(x))
