"""The inference forms of the necks; norms must be folded already, and convolutions be plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from ..models import HRFPN, HRNetClassificationNeck, HRNetV2Neck
from ..models.necks.hrnet_v2 import add_upsampled, check_streams, conv1x1_of_concat, upsample_concat
from ..models.side_by_side import side_by_side
from .fused import FusedPart, FusedResidual, uncompiled
from .graphs import Maps
from .operators import FusedConv


class FusedClassificationNeck(FusedPart):
    """``HRNetClassificationNeck`` whose shortcuts and ReLUs belong to its convolutions."""

    def __init__(self, neck: HRNetClassificationNeck) -> None:
        super().__init__()
        self.in_channels = neck.in_channels
        self.out_channels = neck.out_channels
        blocks: Any = neck.incre_modules
        pairs: Any = neck.downsamp_modules
        self.widen: Any = nn.ModuleList(FusedResidual(block) for (block,) in blocks)
        self.down = nn.ModuleList(FusedConv(pair[0], relu=True) for pair in pairs)
        self.last = FusedConv(neck.final_layer[0], relu=True)  # type: ignore[arg-type]

    @uncompiled
    def forward(self, streams: Sequence[Tensor]) -> Maps:
        """As :meth:`hrnet_mm.HRNetClassificationNeck.forward`."""
        check_streams('HRNetClassificationNeck', streams, self.in_channels)
        return self.run(streams)

    def compute(self, inputs: Sequence[Tensor]) -> Maps:
        """The streams in, the last map out."""
        # a block without a downsampling shortcut writes over its input, which is the caller's
        own = [
            x if block.downsample is not None else x.clone()
            for block, x in zip(self.widen, inputs, strict=True)
        ]
        total, *coarser = side_by_side([partial(block, x) for block, x in zip(self.widen, own, strict=True)])
        for down, wide in zip(self.down, coarser, strict=True):
            total = wide.add_(down(total))
        return (self.last(total),)


class FusedHRNetV2Neck(FusedPart):
    """``HRNetV2Neck`` on a GPU: the ReLU belongs to the convolution of the concatenation.

    On a CPU the streams are convolved one by one, as the neck itself does.
    """

    def __init__(self, neck: HRNetV2Neck) -> None:
        super().__init__()
        self.in_channels = neck.in_channels
        self.out_channels = neck.out_channels
        self.align_corners = neck.align_corners
        assert neck.mix is not None
        self.mix = FusedConv(neck.mix.conv, relu=True)

    @uncompiled
    def forward(self, streams: Sequence[Tensor]) -> Maps:
        """As :meth:`hrnet_mm.HRNetV2Neck.forward`."""
        check_streams('HRNetV2Neck', streams, self.in_channels)
        return self.run(streams)

    def compute(self, inputs: Sequence[Tensor]) -> Maps:
        """The streams in, one map out."""
        if inputs[0].is_cuda:
            return (self.mix(upsample_concat(inputs, align_corners=self.align_corners)),)
        x = conv1x1_of_concat(self.mix.weight, self.mix.bias, inputs, align_corners=self.align_corners)
        return (x.relu_(),)


class FusedHRFPN(FusedPart):
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
    def forward(self, streams: Sequence[Tensor]) -> Maps:
        """As :meth:`hrnet_mm.HRFPN.forward`."""
        check_streams('HRFPN', streams, self.in_channels)
        return self.run(streams)

    def compute(self, inputs: Sequence[Tensor]) -> Maps:
        """The streams in, the pyramid's levels out."""
        total, *coarser = side_by_side([partial(mix, x) for mix, x in zip(self.mix, inputs, strict=True)])
        for x in coarser:
            total = add_upsampled(total, x)
        return tuple(side_by_side([partial(self._level, total, level) for level in range(self.num_outs)]))

    def _level(self, total: Tensor, level: int) -> Tensor:
        result: Tensor = self.levels[level](self.pooled(total, level))
        return result


def _by_stream(conv: nn.Conv2d, channels: Sequence[int]) -> list[nn.Conv2d]:
    """A 1x1 convolution of a concatenation as one for each part; the first has the bias."""
    parts = []
    for weight in conv.weight.detach().split(list(channels), dim=1):
        part = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=1, bias=False, device='meta')
        part.weight = nn.Parameter(weight.clone(), requires_grad=False)
        parts.append(part)
    parts[0].bias = conv.bias
    return parts
