"""HRNetV2's representation (TPAMI paper, figure 4b)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...registry import register_model
from ..conv_norm import can_fold, folded
from .upsample_concat import (
    check_in_channels,
    check_streams,
    conv1x1_of_concat,
    is_plain_conv1x1,
    upsample_concat,
)


@register_model(in_root=True)
class HRNetV2Neck(BaseModule):
    """Upsample all streams to stride 4, concatenate and mix them by a 1x1 convolution.

    Args:
        in_channels: channels of every stream, finest first, for example ``[48, 96, 192, 384]``.
        mix: with ``False`` only the concatenation is returned, for heads that mix themselves (OCR).
        conv_bias: whether the 1x1 convolution has a bias before its norm, as the authors' has.
        align_corners: how bilinear upsampling places its samples.
        conv_cfg: type of the convolution.
        norm_cfg: type of the norm after it; default BN.
        act_cfg: activation after that; default ReLU.
        init_cfg: MMEngine initialisation config.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        mix: bool = True,
        conv_bias: bool = True,
        align_corners: bool = False,
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        act_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = check_in_channels('HRNetV2Neck', in_channels)
        self.out_channels = sum(self.in_channels)
        self.align_corners = align_corners
        self.mix = None
        if mix:
            with warnings.catch_warnings():
                # the authors' convolution has a bias before its norm, and their weights hold it
                warnings.filterwarnings('ignore', 'Unnecessary conv bias')
                self.mix = ConvModule(
                    self.out_channels,
                    self.out_channels,
                    kernel_size=1,
                    bias=conv_bias,
                    conv_cfg=conv_cfg and dict(conv_cfg),
                    norm_cfg=dict(norm_cfg or {'type': 'BN'}),
                    act_cfg=dict(act_cfg or {'type': 'ReLU'}),
                )

    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor]:
        """Streams ``(N, C_i, H_i, W_i)`` in, one map ``(N, sum C_i, H_0, W_0)`` out, in a tuple."""
        check_streams('HRNetV2Neck', streams, self.in_channels)
        if self.mix is None:
            return (upsample_concat(streams, align_corners=self.align_corners),)
        x = _mixed(streams, conv=self.mix.conv, norm=self.mix.norm, align_corners=self.align_corners)
        return (self.mix.activate(x),)


def _mixed(streams: Sequence[Tensor], *, conv: nn.Module, norm: nn.Module, align_corners: bool) -> Tensor:
    """``norm(conv(concat(x0, up(x1), ...)))``."""
    if not (_convolves_first(streams[0]) and is_plain_conv1x1(conv)):
        x: Tensor = conv(upsample_concat(streams, align_corners=align_corners))
    elif can_fold(streams[0], conv, norm):
        return conv1x1_of_concat(*folded(conv, norm), streams, align_corners=align_corners)
    else:
        x = conv1x1_of_concat(conv.weight, conv.bias, streams, align_corners=align_corners)
    out: Tensor = norm(x)
    return out


def _convolves_first(x: Tensor) -> bool:
    """Whether to convolve before upsampling: with as many channels out as in, that enlarges as much.

    It pays on a CPU, and where the concatenation would have to be kept for a backward pass.
    """
    return torch.is_grad_enabled() or x.device.type == 'cpu'
