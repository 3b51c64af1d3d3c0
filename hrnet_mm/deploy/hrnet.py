"""The inference form of ``HRNetBackbone``: the same network as fewer, fused operations."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models import HRNetBackbone
from ..models.blocks import ResidualBlock
from ..models.conv_norm import ConvNorm
from ..models.layout import fast_layout, in_layout_of
from ..models.stages import Fusion, Upsampling
from .fused_conv import FusedConv
from .residual import FusedResidual
from .uncompiled import uncompiled

_PARTS = ('layer1', 'transition1', 'stage2', 'transition2', 'stage3', 'transition3', 'stage4')


class FusedFusion(nn.Module):
    """A fusion whose sums grow inside the convolutions.

    Nearest upsampling composes, so the sum of the coarser streams climbs one octave at a time, and each
    joins where it is smallest; bilinear upsampling does not, and each term is enlarged by itself.
    """

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.outputs = fusion.outputs
        self.upsampling: Upsampling = fusion.upsampling
        rows = _with_fused_children(fusion)
        self.rows = nn.ModuleList(rows[to] for to in fusion.outputs)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return [
            F.relu_(self._sum(to, paths, streams)) for to, paths in zip(self.outputs, self.rows, strict=True)
        ]

    def _sum(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor:
        coarser = self._from_coarser(to, paths, streams)
        # the stream itself is still needed by the other sums
        total = streams[to].clone() if coarser is None else coarser.add_(streams[to])
        for source in range(to):
            *before, last = paths[source]
            x = streams[source]
            for conv in before:
                x = conv(x)
            total = last(x, add=total)
        return total

    def _from_coarser(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor | None:
        """The sum of all coarser streams, enlarged to the size of stream ``to``."""
        total: Tensor | None = None
        for source in reversed(range(to + 1, len(streams))):
            if self.upsampling.mode == 'nearest':
                total = paths[source](streams[source], add=total)
                total = self._enlarged(total, 1, streams[source - 1])
            else:
                term = self._enlarged(paths[source](streams[source]), source - to, streams[to])
                total = term if total is None else total.add_(term)
        return total

    def _enlarged(self, x: Any, octaves: int, like: Tensor) -> Tensor:
        x = self.upsampling(x, octaves=octaves, size=like.shape[2:])
        return x.contiguous(memory_format=torch.channels_last)  # a cropped one is a view with gaps


class FusedHRNet(nn.Module):
    """``HRNetBackbone`` for inference; its norms must be folded already.

    Args:
        backbone: in eval mode; its weights are copied.
    """

    def __init__(self, backbone: HRNetBackbone) -> None:
        super().__init__()
        self.in_channels = backbone.in_channels
        self.out_channels = backbone.out_channels
        stem: list[Any] = [backbone.conv1, backbone.conv2]
        self.stem = nn.Sequential(*(FusedConv(conv, relu=True) for conv in stem))
        for name in _PARTS:
            self.add_module(name, _fused(copy.deepcopy(getattr(backbone, name))))

    # torch 2.11's inductor with frozen weights fuses these additions with convolutions wrongly, and outputs
    # are off by their own size. oneDNN has fused them already: a compiled model calls this as it is.
    @uncompiled
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """As :meth:`hrnet_mm.HRNetBackbone.forward`.

        Maps have the image's memory format: mmcv's RoIAlign on a CPU reads any other wrongly.
        """
        x: Any = self.stem(fast_layout(image))
        first, *others = (getattr(self, name) for name in _PARTS)
        x = [first(x)]
        for part in others:
            x = part(x)
        return tuple(in_layout_of(image, y) for y in x)


def _fused(module: Any) -> Any:
    """``module`` with every pair of convolution and norm, and every residual block, in its fused form."""
    if isinstance(module, ResidualBlock):
        return FusedResidual(module)
    if isinstance(module, ConvNorm):
        return FusedConv(module[0], relu=len(module) > 2)  # type: ignore[arg-type]
    if isinstance(module, Fusion):
        return FusedFusion(module)
    return _with_fused_children(module)


def _with_fused_children(module: Any) -> Any:
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    return module
