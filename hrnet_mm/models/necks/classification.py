"""HRNet-W*-C's head up to the last feature map (TPAMI paper, appendix A; authors' classification code)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import register_model
from ..blocks import Bottleneck, Layers
from ..conv_norm import ConvNorm
from .hrnet_v2 import check_in_channels, check_streams

_BASE_CHANNELS = (32, 64, 128, 256)


@register_model(in_root=True)
class HRNetClassificationNeck(BaseModule):
    """Widen the streams to 128, 256, 512, 1024 channels, add them from fine to coarse, end in 2048.

    A bottleneck widens each stream; strided 3x3 convolutions carry the running sum to the next coarser
    stream; a 1x1 convolution ends the neck. State-dict keys are the authors' (and timm's). Follow it by
    global average pooling and a linear head.

    Args:
        in_channels: channels of the four streams, finest first.
        out_channels: channels of the last map.
        conv_bias: whether the strided and the last convolutions have a bias, as the authors' do.
        conv_cfg: type of the convolutions.
        norm_cfg: type of the norms; default BN.
        init_cfg: MMEngine initialisation config; default Kaiming, as the authors.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        out_channels: int = 2048,
        conv_bias: bool = True,
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg or {'type': 'Kaiming', 'layer': 'Conv2d'})
        self.in_channels = check_in_channels('HRNetClassificationNeck', in_channels)
        if len(self.in_channels) != len(_BASE_CHANNELS):
            raise ValueError(
                f'HRNetClassificationNeck: in_channels={self.in_channels} names {len(self.in_channels)} '
                f'streams; expected {len(_BASE_CHANNELS)}'
            )
        self.out_channels = out_channels
        layers = Layers(conv_cfg, norm_cfg)
        widths = [base * Bottleneck.expansion for base in _BASE_CHANNELS]
        self.incre_modules = nn.ModuleList(
            nn.Sequential(Bottleneck(width, base, layers))
            for width, base in zip(self.in_channels, _BASE_CHANNELS, strict=True)
        )
        self.downsamp_modules = nn.ModuleList(
            ConvNorm(
                layers.conv3x3(fine, coarse, stride=2, bias=conv_bias),
                layers.norm(coarse),
                nn.ReLU(inplace=True),
            )
            for fine, coarse in pairwise(widths)
        )
        self.final_layer = ConvNorm(
            layers.conv1x1(widths[-1], out_channels, bias=conv_bias),
            layers.norm(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor]:
        """Four streams ``(N, C_i, H_i, W_i)`` in, ``(N, out_channels, H_3, W_3)`` out, in a tuple."""
        check_streams('HRNetClassificationNeck', streams, self.in_channels)
        finest, *coarser = (widen(x) for widen, x in zip(self.incre_modules, streams, strict=True))
        total = finest
        for down, x in zip(self.downsamp_modules, coarser, strict=True):
            total = x + down(total)
        return (self.final_layer(total),)
