"""Residual blocks of ResNet (He et al., CVPR 2016, figure 5), with the authors' parameter names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .conv_norm import ConvNorm, conv_norm

Cfg = Mapping[str, Any] | None


def conv1x1(conv_cfg: Cfg, in_channels: int, out_channels: int, *, bias: bool = False) -> nn.Module:
    """Pointwise convolution of the type that ``conv_cfg`` names."""
    return build_conv_layer(_plain(conv_cfg), in_channels, out_channels, kernel_size=1, bias=bias)


def conv3x3(
    conv_cfg: Cfg, in_channels: int, out_channels: int, *, stride: int = 1, bias: bool = False
) -> nn.Module:
    """3x3 convolution, padding 1, of the type that ``conv_cfg`` names."""
    return build_conv_layer(
        _plain(conv_cfg), in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=bias
    )


def norm_layer(norm_cfg: Cfg, channels: int) -> nn.Module:
    """Normalisation layer of the type that ``norm_cfg`` names."""
    return build_norm_layer(_plain(norm_cfg), channels)[1]


def _plain(cfg: Cfg) -> dict[str, Any] | None:
    return None if cfg is None else dict(cfg)


class ConvNormPairs(nn.Module):
    """A module of pairs ``conv1 bn1 conv2 bn2 ...``; a norm is named after its type, as in checkpoints."""

    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    relu: nn.Module

    def add_pair(self, number: int, conv: nn.Module, norm_cfg: Cfg) -> None:
        """Add pair ``number``, counted from 1."""
        name, layer = build_norm_layer(_plain(norm_cfg), conv.out_channels, postfix=number)
        self.add_module(f'conv{number}', conv)
        self.add_module(name, layer)
        self.norm_prefix = name.removesuffix(str(number))

    def norm(self, number: int) -> Any:
        """The norm of pair ``number``."""
        return getattr(self, f'{self.norm_prefix}{number}')

    def pair(self, number: int, x: Tensor, *, add: Tensor | None = None) -> Tensor:
        """``relu(norm(conv(x)) + add)`` with pair ``number``."""
        return conv_norm(x, getattr(self, f'conv{number}'), self.norm(number), relu=self.relu, add=add)


class ResidualBlock(ConvNormPairs, ABC):
    """``relu(residual(x) + shortcut(x))``; a subclass says what the residual is.

    Args:
        in_channels: channels of the input.
        channels: base channels; the output has ``channels * expansion``.
        with_cp: recompute the sum in the backward pass instead of storing its activations.
    """

    expansion: int
    depth: int

    def __init__(
        self, in_channels: int, channels: int, *, conv_cfg: Cfg, norm_cfg: Cfg, with_cp: bool = False
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        for number, conv in enumerate(self.convolutions(in_channels, channels, conv_cfg), start=1):
            self.add_pair(number, conv, norm_cfg)
        self.relu = nn.ReLU(inplace=True)
        out_channels = channels * self.expansion
        self.downsample = (
            None
            if in_channels == out_channels
            else ConvNorm(conv1x1(conv_cfg, in_channels, out_channels), norm_layer(norm_cfg, out_channels))
        )

    @staticmethod
    @abstractmethod
    def convolutions(in_channels: int, channels: int, conv_cfg: Cfg) -> list[nn.Module]:
        """The residual's convolutions in order."""

    def zero_last_norm(self) -> None:
        """Let the block start as its shortcut (Goyal et al. 2017, section 5.1)."""
        weight = getattr(self.norm(self.depth), 'weight', None)
        if weight is not None:  # an instance norm may have none
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, channels * expansion, H, W)``."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        out = x
        for number in range(1, self.depth):
            out = self.pair(number, out)
        return self.pair(self.depth, out, add=x if self.downsample is None else self.downsample(x))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions."""

    expansion = 1
    depth = 2

    @staticmethod
    def convolutions(in_channels: int, channels: int, conv_cfg: Cfg) -> list[nn.Module]:
        return [conv3x3(conv_cfg, in_channels, channels), conv3x3(conv_cfg, channels, channels)]


class Bottleneck(ResidualBlock):
    """1x1 down, 3x3, 1x1 up to four times the base channels."""

    expansion = 4
    depth = 3

    @staticmethod
    def convolutions(in_channels: int, channels: int, conv_cfg: Cfg) -> list[nn.Module]:
        return [
            conv1x1(conv_cfg, in_channels, channels),
            conv3x3(conv_cfg, channels, channels),
            conv1x1(conv_cfg, channels, channels * Bottleneck.expansion),
        ]


BLOCKS: dict[str, type[ResidualBlock]] = {'BASIC': BasicBlock, 'BOTTLENECK': Bottleneck}
