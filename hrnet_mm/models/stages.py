"""Parallel streams and the multi-resolution fusion between them (TPAMI paper, figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from .arch import StageArch
from .blocks import BLOCKS, Layers
from .conv_norm import ConvNorm
from .side_by_side import side_by_side


@dataclass(frozen=True)
class Upsampling:
    """How a fusion enlarges a lower-resolution stream."""

    mode: str
    align_corners: bool | None = None

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> Upsampling:
        """Read ``dict(mode='nearest'|'bilinear', align_corners=None|False|True)``.

        Raises:
            ValueError: unknown mode, or ``align_corners`` with nearest.
        """
        unknown = set(cfg) - {'mode', 'align_corners'}
        if unknown or 'mode' not in cfg:
            raise ValueError(
                f'upsample_cfg={dict(cfg)!r} is malformed; expected the key mode and optionally align_corners'
            )
        mode, align_corners = cfg['mode'], cfg.get('align_corners')
        if mode not in ('nearest', 'bilinear'):
            raise ValueError(f'upsample_cfg.mode={mode!r} is unknown; expected nearest or bilinear')
        if align_corners not in (None, True, False) or (mode == 'nearest' and align_corners):
            raise ValueError(
                f'upsample_cfg.align_corners={align_corners!r} does not go with mode={mode!r}; '
                'expected True or False with bilinear, None with nearest'
            )
        return cls(mode, bool(align_corners) if mode == 'bilinear' else None)

    def __call__(self, x: Tensor, *, octaves: int, size: torch.Size) -> Tensor:
        """Enlarge ``x`` by ``2**octaves`` and fit it to ``size`` (height, width).

        The two steps differ from one resize only where a stream's size is odd, and there the fit keeps
        nearest upsampling on the grid of strides and bilinear upsampling equal to mmsegmentation's.
        """
        x = F.interpolate(x, scale_factor=2**octaves, mode=self.mode, align_corners=self.align_corners)
        if x.shape[2:] == size:
            return x
        if self.mode == 'nearest':
            return x[:, :, : size[0], : size[1]]
        return F.interpolate(x, size=size, mode=self.mode, align_corners=self.align_corners)


class ResidualBlocks(nn.Sequential):
    """The chain of residual blocks on one stream.

    Args:
        with_cp: recompute each block in the backward pass instead of storing its activations.
    """

    def __init__(
        self, in_channels: int, stage: StageArch, layers: Layers, *, stream: int, with_cp: bool
    ) -> None:
        block, width = BLOCKS[stage.block], stage.out_channels[stream]
        widths = [in_channels] + [width] * (stage.blocks[stream] - 1)
        super().__init__(*(block(width, stage.channels[stream], layers) for width in widths))
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, C, H, W)``."""
        for block in self:
            recomputed = self.with_cp and x.requires_grad
            x = checkpoint(block, x, use_reentrant=False) if recomputed else block(x)
        return x


def downsampling(
    in_channels: int, out_channels: int, layers: Layers, *, octaves: int, last_relu: bool
) -> nn.Sequential:
    """A chain of stride-2 3x3 convolutions; only the last one changes the number of channels."""
    widths = [in_channels] * (octaves - 1) + [out_channels]
    chain = [
        ConvNorm(layers.conv3x3(in_channels, w, stride=2), layers.norm(w), nn.ReLU(inplace=True))
        for w in widths
    ]
    if not last_relu:
        del chain[-1][2]
    return nn.Sequential(*chain)


class Fusion(nn.ModuleList):
    """Every output stream is the ReLU of the sum of all input streams, brought to its resolution.

    ``self[to][source]`` is the path between two streams: a chain of strided convolutions down, a 1x1
    convolution before upsampling up, ``None`` from a stream to itself. The row of an output that nobody
    asks for is ``None`` and holds no weights.

    Args:
        channels: channels of every stream, finest first.
        outputs: the streams to produce.
    """

    def __init__(
        self, channels: Sequence[int], layers: Layers, upsampling: Upsampling, *, outputs: Sequence[int]
    ) -> None:
        def path(source: int, to: int) -> nn.Module | None:
            if source == to:
                return None
            if source > to:
                return ConvNorm(layers.conv1x1(channels[source], channels[to]), layers.norm(channels[to]))
            return downsampling(channels[source], channels[to], layers, octaves=to - source, last_relu=False)

        rows: list[Any] = [None] * (max(outputs) + 1)
        for to in outputs:
            rows[to] = nn.ModuleList(path(source, to) for source in range(len(channels)))  # type: ignore
        super().__init__(rows)
        self.outputs = tuple(outputs)
        self.upsampling = upsampling
        self.relu = nn.ReLU(inplace=True)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return side_by_side([partial(self._output, to, streams) for to in self.outputs])

    def _output(self, to: int, streams: Sequence[Tensor]) -> Tensor:
        paths: Any = self[to]
        terms = []
        for source, path in enumerate(paths):
            x = streams[source] if path is None else path(streams[source])
            if source > to:
                x = self.upsampling(x, octaves=source - to, size=streams[to].shape[2:])
            terms.append(x)
        # the first term may be a stream itself, which the other sums still need
        total: Tensor = terms[0] + terms[1] if len(terms) > 1 else terms[0].clone()
        for term in terms[2:]:
            total += term
        result: Tensor = self.relu(total)
        return result


class HighResolutionModule(nn.Module):
    """Residual blocks on every stream in parallel, then one fusion (none with ``fused=False``)."""

    def __init__(
        self,
        stage: StageArch,
        layers: Layers,
        upsampling: Upsampling,
        *,
        outputs: Sequence[int],
        fused: bool,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.outputs = tuple(outputs)
        self.branches = nn.ModuleList(
            ResidualBlocks(width, stage, layers, stream=i, with_cp=with_cp)
            for i, width in enumerate(stage.out_channels)
        )
        fusion = Fusion(stage.out_channels, layers, upsampling, outputs=outputs) if fused else None
        self.fuse_layers: nn.Module | None = fusion

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        streams = side_by_side([partial(branch, x) for branch, x in zip(self.branches, streams, strict=True)])
        if self.fuse_layers is None:
            return [streams[i] for i in self.outputs]
        fused: list[Tensor] = self.fuse_layers(streams)
        return fused


def parallel_stage(
    stage: StageArch,
    layers: Layers,
    upsampling: Upsampling,
    *,
    fusions: int,
    with_cp: bool,
    outputs: Sequence[int] | None = None,
) -> nn.Sequential:
    """The modules of a stage; the last ``fusions`` of them fuse, and ``outputs`` (default all) leave it."""
    streams = range(len(stage.channels))
    modules = []
    for left in range(stage.modules, 0, -1):
        leaving = streams if outputs is None or left > 1 else outputs
        modules.append(
            HighResolutionModule(
                stage, layers, upsampling, outputs=leaving, fused=left <= fusions, with_cp=with_cp
            )
        )
    return nn.Sequential(*modules)


class Transition(nn.ModuleList):
    """From the streams of one stage to those of the next; new streams grow from the coarsest one.

    ``self[i]`` is ``None`` where stream ``i`` goes on as it is.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], layers: Layers) -> None:
        def path(i: int, width: int) -> Any:
            if i >= len(before):
                return downsampling(before[-1], width, layers, octaves=i + 1 - len(before), last_relu=True)
            if width == before[i]:
                return None
            return ConvNorm(layers.conv3x3(before[i], width), layers.norm(width), nn.ReLU(inplace=True))

        super().__init__(path(i, width) for i, width in enumerate(after))

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the finished stage in, inputs of the next stage out."""
        last = len(streams) - 1
        return [streams[i] if path is None else path(streams[min(i, last)]) for i, path in enumerate(self)]
