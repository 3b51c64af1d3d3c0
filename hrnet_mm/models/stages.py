"""Parallel streams and the multi-resolution fusion between them (TPAMI paper, figures 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .arch import StageArch
from .blocks import BLOCKS, Cfg, conv1x1, conv3x3, norm_layer
from .conv_norm import ConvNorm


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


def downsampling(
    in_channels: int, out_channels: int, *, octaves: int, last_relu: bool, conv_cfg: Cfg, norm_cfg: Cfg
) -> nn.Sequential:
    """A chain of stride-2 3x3 convolutions; only the last one changes the number of channels."""
    widths = [in_channels] * octaves + [out_channels]
    relus = [True] * (octaves - 1) + [last_relu]
    return nn.Sequential(
        *(
            ConvNorm(
                conv3x3(conv_cfg, before, after, stride=2),
                norm_layer(norm_cfg, after),
                *([nn.ReLU(inplace=True)] if relu else []),
            )
            for before, after, relu in zip(widths[:-1], widths[1:], relus, strict=True)
        )
    )


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
        self,
        channels: Sequence[int],
        *,
        outputs: Sequence[int],
        upsampling: Upsampling,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
    ) -> None:
        def path(source: int, to: int) -> Any:
            if source == to:
                return None
            ends = (channels[source], channels[to])
            if source > to:
                return ConvNorm(conv1x1(conv_cfg, *ends), norm_layer(norm_cfg, channels[to]))
            return downsampling(
                *ends, octaves=to - source, last_relu=False, conv_cfg=conv_cfg, norm_cfg=norm_cfg
            )

        def row(to: int) -> Any:
            if to not in outputs:
                return None
            return nn.ModuleList(path(source, to) for source in range(len(channels)))

        super().__init__(row(to) for to in range(max(outputs) + 1))
        self.outputs = tuple(outputs)
        self.upsampling = upsampling
        self.relu = nn.ReLU(inplace=True)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return [self.relu(self._sum(to, streams)) for to in self.outputs]

    def _sum(self, to: int, streams: Sequence[Tensor]) -> Tensor:
        first, *others = (self._carry(source, to, streams) for source in range(len(streams)))
        # the first term may be a stream itself, which the other sums still need
        total = first + others[0] if others else first.clone()
        for term in others[1:]:
            total += term
        return total

    def _carry(self, source: int, to: int, streams: Sequence[Tensor]) -> Tensor:
        row: Any = self[to]
        path = row[source]
        if path is None:
            return streams[source]
        x = path(streams[source])
        if source < to:
            return x
        return self.upsampling(x, octaves=source - to, size=streams[to].shape[2:])


class NoFusion(nn.Module):
    """The asked-for streams, unfused (an ablation of the paper's)."""

    def __init__(self, outputs: Sequence[int]) -> None:
        super().__init__()
        self.outputs = tuple(outputs)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return [streams[i] for i in self.outputs]


class HighResolutionModule(nn.Module):
    """Residual blocks on every stream in parallel, then one fusion (none with ``fused=False``)."""

    def __init__(
        self,
        stage: StageArch,
        *,
        outputs: Sequence[int],
        upsampling: Upsampling,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        with_cp: bool,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            residual_blocks(width, stage, stream=i, conv_cfg=conv_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
            for i, width in enumerate(stage.out_channels)
        )
        fusion = partial(
            Fusion, stage.out_channels, upsampling=upsampling, conv_cfg=conv_cfg, norm_cfg=norm_cfg
        )
        self.fuse_layers = fusion(outputs=outputs) if fused else NoFusion(outputs)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return self.fuse_layers([branch(x) for branch, x in zip(self.branches, streams, strict=True)])


def residual_blocks(
    in_channels: int, stage: StageArch, *, stream: int, conv_cfg: Cfg, norm_cfg: Cfg, with_cp: bool
) -> nn.Sequential:
    """The chain of residual blocks on one stream."""
    block = BLOCKS[stage.block]
    widths = [in_channels] + [stage.out_channels[stream]] * (stage.blocks[stream] - 1)
    return nn.Sequential(
        *(
            block(width, stage.channels[stream], conv_cfg=conv_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
            for width in widths
        )
    )


class Transition(nn.ModuleList):
    """From the streams of one stage to those of the next; new streams grow from the coarsest one.

    ``self[i]`` is ``None`` where stream ``i`` goes on as it is.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], *, conv_cfg: Cfg, norm_cfg: Cfg) -> None:
        def path(i: int, width: int) -> Any:
            if i >= len(before):
                return downsampling(
                    before[-1],
                    width,
                    octaves=i + 1 - len(before),
                    last_relu=True,
                    conv_cfg=conv_cfg,
                    norm_cfg=norm_cfg,
                )
            if width == before[i]:
                return None
            return ConvNorm(
                conv3x3(conv_cfg, before[i], width), norm_layer(norm_cfg, width), nn.ReLU(inplace=True)
            )

        super().__init__(path(i, width) for i, width in enumerate(after))

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """Streams of the finished stage in, inputs of the next stage out."""
        last = len(streams) - 1
        return [streams[i] if path is None else path(streams[min(i, last)]) for i, path in enumerate(self)]
