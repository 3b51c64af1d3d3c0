"""``concat(x0, up(x1), ...)`` and a 1x1 convolution of it, which need not build the concatenation.

Bilinear upsampling acts on each channel alone and is linear, so a 1x1 convolution commutes with it:
``W [x0; up(x1); ...] + b = W0 x0 + up(W1 x1) + ... + b`` with ``Wi`` the column slices of ``W``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..layout import is_recorded

_AT_A_TIME = 2**21  # values of an upsampled map, 8 MiB in float32


def check_streams(neck: str, streams: Sequence[Tensor], in_channels: Sequence[int]) -> None:
    """Raise ``ValueError`` unless ``streams`` are maps of ``in_channels`` channels, one each."""
    channels = [x.shape[1] for x in streams]
    if channels != list(in_channels):
        raise ValueError(
            f'{neck} was given {len(channels)} streams of {channels} channels; '
            f'expected in_channels={list(in_channels)}'
        )


def check_in_channels(neck: str, in_channels: Sequence[int]) -> list[int]:
    """Return ``in_channels`` as a list; ``ValueError`` unless it is a sequence of positive integers."""
    fits = isinstance(in_channels, Sequence) and not isinstance(in_channels, str) and len(in_channels) > 0
    if not fits or not all(isinstance(c, int) and c > 0 for c in in_channels):
        raise ValueError(
            f'{neck}: in_channels={in_channels!r} is not a list of positive integers, one per stream'
        )
    return list(in_channels)


def upsample_like(x: Tensor, like: Tensor, *, align_corners: bool = False) -> Tensor:
    """Resize ``x`` bilinearly to the height and width of ``like``."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode='bilinear', align_corners=align_corners)


def upsample_concat(streams: Sequence[Tensor], *, align_corners: bool = False) -> Tensor:
    """All streams at the finest one's size, side by side: ``(N, sum C_i, H_0, W_0)``."""
    return torch.cat([upsample_like(x, streams[0], align_corners=align_corners) for x in streams], dim=1)


def is_plain_conv1x1(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether ``conv`` is an ordinary 1x1 convolution, to which the identity above applies."""
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


def add_upsampled(total: Tensor, x: Tensor, *, align_corners: bool = False) -> Tensor:
    """``total + upsample_like(x, total)``; ``total`` is overwritten."""
    if total.device.type == 'cpu' and not is_recorded():
        out: Tensor = _AddUpsampled.apply(total, x, align_corners)
        return out
    return total.add_(upsample_like(x, total, align_corners=align_corners))


class _AddUpsampled(torch.autograd.Function):
    """The sum, a few channels at a time.

    A CPU's large tensors come from the operating system anew in each call (glibc: from 32 MiB on), and
    fetching that memory takes longer than the arithmetic. A few channels fit into memory that is at hand.
    """

    @staticmethod
    def forward(total: Tensor, x: Tensor, align_corners: bool) -> Tensor:
        channels = max(1, _AT_A_TIME * total.shape[1] // max(1, total.numel()))
        for part, small in zip(total.split(channels, dim=1), x.split(channels, dim=1), strict=True):
            part += upsample_like(small, part, align_corners=align_corners)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        total, x, align_corners = inputs
        ctx.mark_dirty(total)
        ctx.sizes, ctx.align_corners = (total.shape[2:], x.shape), align_corners

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (large, small), align_corners = ctx.sizes, ctx.align_corners
        if not ctx.needs_input_grad[1]:
            return grad, None, None
        if large == small[2:]:
            return grad, grad, None
        return grad, torch.ops.aten.upsample_bilinear2d_backward(grad, large, small, align_corners), None
