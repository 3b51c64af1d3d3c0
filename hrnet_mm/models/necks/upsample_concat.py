"""``concat(x0, up(x1), ...)`` and a 1x1 convolution of it, which need not build the concatenation.

Bilinear upsampling acts on each channel alone and is linear, so a 1x1 convolution commutes with it:
``W [x0; up(x1); ...] + b = W0 x0 + up(W1 x1) + ... + b`` with ``Wi`` the column slices of ``W``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


def is_plain_conv1x1(conv: nn.Module) -> bool:
    """Whether ``conv`` is an ordinary 1x1 convolution, to which the identity above applies."""
    return type(conv) is nn.Conv2d and conv.kernel_size == (1, 1) and conv.groups == 1


def conv1x1_of_concat(conv: nn.Conv2d, streams: Sequence[Tensor], *, align_corners: bool = False) -> Tensor:
    """``conv(upsample_concat(streams))``, each stream convolved at its own resolution."""
    first, *others = conv.weight.split([x.shape[1] for x in streams], dim=1)
    total = F.conv2d(streams[0], first, conv.bias)
    for x, weight in zip(streams[1:], others, strict=True):
        total = total + upsample_like(F.conv2d(x, weight), total, align_corners=align_corners)
    return total
