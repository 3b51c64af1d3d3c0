"""The inference form of ``HRNetBackbone``: the same network as few, wide, fused operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models import HRNetBackbone
from ..models.blocks import ResidualBlock
from ..models.stages import Fusion, HighResolutionModule, Transition, Upsampling
from .fused_conv import FusedConv


def chain(layers: nn.Module, *, last_relu: bool | None = None) -> nn.Sequential:
    """The convolutions of a (nested) ``Sequential`` with folded norms, each with the ReLU after it.

    Args:
        layers: convolutions, identities and ReLUs.
        last_relu: whether the last convolution ends in a ReLU; default as in ``layers``.
    """
    leaves = [m for m in layers.modules() if isinstance(m, (nn.Conv2d, nn.ReLU))]
    followers: list[nn.Module | None] = [*leaves[1:], None]
    fused = [
        FusedConv(leaf, relu=isinstance(after, nn.ReLU))
        for leaf, after in zip(leaves, followers, strict=True)
        if isinstance(leaf, nn.Conv2d)
    ]
    if last_relu is not None:
        fused[-1].relu = last_relu
    return nn.Sequential(*fused)


class FusedResidual(nn.Module):
    """A residual block whose addition and ReLU belong to its last convolution."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        convs = [getattr(block, f'conv{number}') for number in range(1, block.depth + 1)]
        self.convs = nn.ModuleList(FusedConv(conv, relu=True) for conv in convs)
        self.downsample = None if block.downsample is None else chain(block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H, W)``; without a downsampling shortcut ``x`` is overwritten."""
        out = x
        *before, last = self.convs
        for conv in before:
            out = conv(out)
        return last(out, add=x if self.downsample is None else self.downsample(x))


class FusedFusion(nn.Module):
    """A fusion whose sums grow inside the convolutions.

    Nearest upsampling composes, so the coarse terms climb one octave at a time and are added at the
    lowest resolution possible; bilinear upsampling does not, and each term is enlarged by itself.
    """

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.outputs = fusion.outputs
        self.upsampling: Upsampling = fusion.upsampling
        self.rows = nn.ModuleList(self._row(fusion, to) for to in fusion.outputs)

    @staticmethod
    def _row(fusion: Fusion, to: int) -> nn.ModuleList:
        paths: Any = fusion[to]
        return nn.ModuleList(nn.Identity() if path is None else chain(path) for path in paths)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return [
            F.relu_(self._sum(to, paths, streams)) for to, paths in zip(self.outputs, self.rows, strict=True)
        ]

    def _sum(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor:
        total = self._from_above(to, paths, streams)
        total = streams[to].clone() if total is None else total.add_(streams[to])
        for source in range(to):
            *before, last = paths[source]
            x = streams[source]
            for conv in before:
                x = conv(x)
            total = last(x, add=total)
        return total

    def _from_above(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor | None:
        """The sum of all coarser streams, enlarged to the size of stream ``to``."""
        if self.upsampling.mode == 'nearest':
            return self._climb(to, paths, streams)
        total = None
        for source in range(to + 1, len(streams)):
            term = self._enlarge(paths[source](streams[source]), source - to, streams[to])
            total = term if total is None else total.add_(term)
        return total

    def _climb(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor | None:
        total = None
        for source in reversed(range(to + 1, len(streams))):
            (conv,) = paths[source]
            total = conv(streams[source], add=total)
            total = self._enlarge(total, 1, streams[source - 1])
        return total

    def _enlarge(self, x: Tensor, octaves: int, like: Tensor) -> Tensor:
        x = self.upsampling(x, octaves=octaves, size=like.shape[2:])
        return x.contiguous(memory_format=torch.channels_last)  # a cropped one is a view with gaps


class FusedModule(nn.Module):
    """Residual blocks on every stream, then one fusion."""

    def __init__(self, module: HighResolutionModule) -> None:
        super().__init__()
        branches: Any = module.branches
        self.branches = nn.ModuleList(
            nn.Sequential(*(FusedResidual(block) for block in branch)) for branch in branches
        )
        fusion = module.fuse_layers
        self.fuse_layers = FusedFusion(fusion) if isinstance(fusion, Fusion) else fusion

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return self.fuse_layers([branch(x) for branch, x in zip(self.branches, streams, strict=True)])


class FusedTransition(nn.Module):
    """From the streams of one stage to those of the next."""

    def __init__(self, transition: Transition) -> None:
        super().__init__()
        self.paths = nn.ModuleList(nn.Identity() if path is None else chain(path) for path in transition)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the finished stage in, inputs of the next stage out."""
        last = len(streams) - 1
        return [path(streams[min(i, last)]) for i, path in enumerate(self.paths)]


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
        blocks: Any = backbone.layer1
        self.stem = nn.Sequential(*(FusedConv(conv, relu=True) for conv in stem))
        self.layer1 = nn.Sequential(*(FusedResidual(block) for block in blocks))
        self.transition1 = FusedTransition(backbone.transition1)
        self.stage2 = _fused_stage(backbone.stage2)
        self.transition2 = FusedTransition(backbone.transition2)
        self.stage3 = _fused_stage(backbone.stage3)
        self.transition3 = FusedTransition(backbone.transition3)
        self.stage4 = _fused_stage(backbone.stage4)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """As :meth:`hrnet_mm.HRNetBackbone.forward`; maps are channels last in memory."""
        image = image.contiguous(memory_format=torch.channels_last)
        streams = self.transition1([self.layer1(self.stem(image))])
        streams = self.transition2(self.stage2(streams))
        streams = self.transition3(self.stage3(streams))
        return tuple(self.stage4(streams))


def _fused_stage(stage: Any) -> nn.Sequential:
    return nn.Sequential(*(FusedModule(module) for module in stage))
