"""HRNetV2's representation and HRNetV2p's feature pyramid (TPAMI paper, figures 4b and 4c).

Both mix ``concat(x0, up(x1), ...)`` by a 1x1 convolution. Bilinear upsampling acts on each channel alone and
is linear, so a 1x1 convolution commutes with it, and the concatenation need not be built:
``W [x0; up(x1); ...] + b = W0 x0 + up(W1 x1) + ... + b`` with ``Wi`` the column slices of ``W``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ...registry import register_model
from ..conv_norm import folded_weights, is_plain_cpu

_AT_A_TIME = 2**21  # values of an upsampled map, 8 MiB in float32
_POOLING: dict[str, Callable[..., Tensor]] = {'AVG': F.avg_pool2d, 'MAX': F.max_pool2d}


def check_in_channels(neck: str, in_channels: Sequence[int]) -> list[int]:
    """Return ``in_channels`` as a list; ``ValueError`` unless it is a sequence of positive integers."""
    fits = isinstance(in_channels, Sequence) and not isinstance(in_channels, str) and len(in_channels) > 0
    if not fits or not all(isinstance(c, int) and c > 0 for c in in_channels):
        raise ValueError(
            f'{neck}: in_channels={in_channels!r} is not a list of positive integers, one per stream'
        )
    return list(in_channels)


def check_streams(neck: str, streams: Sequence[Tensor], in_channels: Sequence[int]) -> None:
    """Raise ``ValueError`` unless ``streams`` are maps of ``in_channels`` channels, one each."""
    channels = [x.shape[1] for x in streams]
    if channels != list(in_channels):
        raise ValueError(
            f'{neck} was given {len(channels)} streams of {channels} channels; '
            f'expected in_channels={list(in_channels)}'
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
        conv, norm = self.mix.conv, self.mix.norm
        if not (is_plain_conv1x1(conv) and _convolves_first(streams[0])):
            # not by `self.mix` as a whole, which would hold the concatenation until its norm is done
            x = conv(upsample_concat(streams, align_corners=self.align_corners))
            return (self.mix.activate(norm(x)),)
        folded = folded_weights(streams[0], conv, norm)
        weight, bias = folded or (conv.weight, conv.bias)
        x = conv1x1_of_concat(weight, bias, streams, align_corners=self.align_corners)
        return (self.mix.activate(x if folded else norm(x)),)


# mmdet has an HRFPN of its own: ours is hrnet_mm.HRFPN everywhere
@register_model(in_root=False)
class HRFPN(BaseModule):
    """Mix all streams at stride 4 by a 1x1 convolution, pool to a pyramid, smooth each level by 3x3.

    State-dict keys and, at sizes mmdet's HRFPN can take, outputs are mmdet's.

    Args:
        in_channels: channels of every stream, finest first.
        out_channels: channels of every pyramid level.
        num_outs: number of levels; level ``i`` has stride ``4 * 2**i``.
        pooling_type: ``'AVG'`` or ``'MAX'``.
        conv_cfg: type of the convolutions.
        norm_cfg: type of the norms after them; ``None`` for convolutions with a bias and no norm.
        with_cp: recompute convolutions in the backward pass to save memory.
        stride: stride of the 3x3 convolutions.
        init_cfg: MMEngine initialisation config; default Caffe2's Xavier, as mmdet.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        num_outs: int = 5,
        pooling_type: str = 'AVG',
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg or {'type': 'Caffe2Xavier', 'layer': 'Conv2d'})
        if pooling_type not in _POOLING:
            raise ValueError(f'HRFPN: pooling_type={pooling_type!r} is unknown; expected AVG or MAX')
        if not isinstance(num_outs, int) or num_outs < 1:
            raise ValueError(f'HRFPN: num_outs={num_outs!r} is not a positive integer')
        self.in_channels = check_in_channels('HRFPN', in_channels)
        self.out_channels = out_channels
        self.num_outs = num_outs
        self.with_cp = with_cp
        self._pool = _POOLING[pooling_type]
        common = {
            'conv_cfg': conv_cfg and dict(conv_cfg),
            'norm_cfg': norm_cfg and dict(norm_cfg),
            'act_cfg': None,
        }
        self.reduction_conv = ConvModule(sum(self.in_channels), out_channels, kernel_size=1, **common)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, kernel_size=3, padding=1, stride=stride, **common)
            for _ in range(num_outs)
        )

    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Streams ``(N, C_i, H_i, W_i)`` in, ``num_outs`` levels of ``out_channels`` channels out.

        Level ``i`` is ``(N, out_channels, floor(H_0 / 2**i), floor(W_0 / 2**i))``, at least 1x1.
        """
        check_streams('HRFPN', streams, self.in_channels)
        mixed = self._maybe_checkpoint(self._reduce, *streams)
        return tuple(
            self._maybe_checkpoint(conv, self.pooled(mixed, level))
            for level, conv in enumerate(self.fpn_convs)
        )

    def _reduce(self, *streams: Tensor) -> Tensor:
        conv, norm = self.reduction_conv.conv, self.reduction_conv.norm
        if is_plain_conv1x1(conv):
            x = conv1x1_of_concat(conv.weight, conv.bias, streams)
        else:
            x = conv(upsample_concat(streams))
        return x if norm is None else norm(x)

    def pooled(self, x: Tensor, level: int) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, floor(H / 2**level), floor(W / 2**level))``, at least 1x1."""
        if level == 0:
            return x
        # a window never larger than the map, so that tiny images keep all levels
        window = (min(2**level, x.shape[2]), min(2**level, x.shape[3]))
        return self._pool(x, kernel_size=window, stride=window)

    def _maybe_checkpoint(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        if self.with_cp and any(x.requires_grad for x in inputs):
            return checkpoint(function, *inputs, use_reentrant=False)
        return function(*inputs)


# -- the concatenation and its convolution ------------------------------------------------------------------


def upsample_like(x: Tensor, like: Tensor, *, align_corners: bool = False) -> Tensor:
    """Resize ``x`` bilinearly to the height and width of ``like``."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=align_corners)


def upsample_concat(streams: Sequence[Tensor], *, align_corners: bool = False) -> Tensor:
    """All streams at the finest one's size, side by side: ``(N, sum C_i, H_0, W_0)``."""
    return torch.cat([upsample_like(x, streams[0], align_corners=align_corners) for x in streams], dim=1)


def is_plain_conv1x1(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether ``conv`` is an ordinary 1x1 convolution, which commutes with upsampling."""
    return type(conv) is nn.Conv2d and conv.kernel_size == (1, 1) and conv.groups == 1


def conv1x1_of_concat(
    weight: Tensor, bias: Tensor | None, streams: Sequence[Tensor], *, align_corners: bool = False
) -> Tensor:
    """``conv(upsample_concat(streams))``, each stream convolved at its own resolution."""
    first, *others = weight.split([x.shape[1] for x in streams], dim=1)
    total = F.conv2d(streams[0], first, bias)
    for x, part in zip(streams[1:], others, strict=True):
        total = add_upsampled(total, F.conv2d(x, part), align_corners=align_corners)
    return total


def _convolves_first(x: Tensor) -> bool:
    """Whether to convolve before upsampling where both have as many channels.

    It pays on a CPU, and where the concatenation would have to be kept for a backward pass.
    """
    return torch.is_grad_enabled() or x.device.type == 'cpu'


def add_upsampled(total: Tensor, x: Tensor, *, align_corners: bool = False) -> Tensor:
    """``total + upsample_like(x, total)``; ``total`` is overwritten."""
    if torch.is_grad_enabled() or not is_plain_cpu(total):
        return total.add_(upsample_like(x, total, align_corners=align_corners))
    # large tensors of a CPU come from the operating system anew in each call (glibc: from 32 MiB on), which
    # takes longer than the arithmetic: a few channels at a time fit into memory that is at hand
    channels = max(1, _AT_A_TIME * total.shape[1] // max(1, total.numel()))
    for part, small in zip(total.split(channels, dim=1), x.split(channels, dim=1), strict=True):
        part += upsample_like(small, part, align_corners=align_corners)
    return total
