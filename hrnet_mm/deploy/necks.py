"""The inference forms of the necks; norms must be folded already, and convolutions be plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..models import HRFPN, HRNetClassificationNeck
from ..models.conv_norm import fast_layout, in_layout_of
from ..models.necks.hrnet_v2 import add_upsampled, check_streams
from .cpu import FusedConv, FusedResidual, uncompiled


class FusedClassificationNeck(nn.Module):
    """``HRNetClassificationNeck`` whose shortcuts and ReLUs belong to its convolutions."""

    def __init__(self, neck: HRNetClassificationNeck) -> None:
        super().__init__()
        self.in_channels = neck.in_channels
        self.out_channels = neck.out_channels
        blocks: Any = neck.incre_modules
        pairs: Any = neck.downsamp_modules
        self.widen = nn.ModuleList(FusedResidual(block) for (block,) in blocks)
        self.down = nn.ModuleList(FusedConv(pair[0], relu=True) for pair in pairs)
        self.last = FusedConv(neck.final_layer[0], relu=True)  # type: ignore[arg-type]

    @uncompiled
    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor]:
        """As :meth:`hrnet_mm.HRNetClassificationNeck.forward`."""
        check_streams('HRNetClassificationNeck', streams, self.in_channels)
        total: Any = None
        for level, (widen, x) in enumerate(zip(self.widen, streams, strict=True)):
            # a block without a downsampling shortcut writes over its input, which is the caller's
            x = fast_layout(x if widen.downsample is not None else x.clone())
            wide = widen(x)
            total = wide if total is None else wide.add_(self.down[level - 1](total))
        return (in_layout_of(streams[0], self.last(total)),)


class FusedHRFPN(nn.Module):
    """``HRFPN`` with each stream convolved at its own size and weights in oneDNN's order."""

    def __init__(self, neck: HRFPN) -> None:
        super().__init__()
        self.in_channels = neck.in_channels
        self.out_channels = neck.out_channels
        self.num_outs = neck.num_outs
        self.pooled = neck.pooled
        self.mix = nn.ModuleList(
            FusedConv(conv, relu=False) for conv in _by_stream(neck.reduction_conv.conv, neck.in_channels)
        )
        levels: Any = neck.fpn_convs
        self.levels = nn.ModuleList(FusedConv(level.conv, relu=False) for level in levels)

    @uncompiled
    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As :meth:`hrnet_mm.HRFPN.forward`."""
        check_streams('HRFPN', streams, self.in_channels)
        total, *coarser = (mix(fast_layout(x)) for mix, x in zip(self.mix, streams, strict=True))
        for x in coarser:
            total = add_upsampled(total, x)
        levels = (conv(self.pooled(total, level)) for level, conv in enumerate(self.levels))
        return tuple(in_layout_of(streams[0], x) for x in levels)


def _by_stream(conv: nn.Conv2d, channels: Sequence[int]) -> list[nn.Conv2d]:
    """A 1x1 convolution of a concatenation as one for each part; the first has the bias."""
    parts = []
    for weight in conv.weight.detach().split(list(channels), dim=1):
        part = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=1, bias=False, device='meta')
        part.weight = nn.Parameter(weight.clone(), requires_grad=False)
        parts.append(part)
    parts[0].bias = conv.bias
    return parts
