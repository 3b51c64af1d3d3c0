"""Residual blocks of ResNet (He et al., CVPR 2016, figure 5), with the authors' parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmcv.cnn.bricks.norm import infer_abbr
from torch import Tensor, nn

from .conv_norm import ConvNorm, conv_norm


class Layers:
    """Makes the layers of a network: convolutions of one type and norms of one type.

    Args:
        conv_cfg: type of the convolutions, as mmcv's ``build_conv_layer`` takes it.
        norm_cfg: type of the norms, as mmcv's ``build_norm_layer`` takes it; default BN.
    """

    def __init__(
        self, conv_cfg: Mapping[str, Any] | None = None, norm_cfg: Mapping[str, Any] | None = None
    ) -> None:
        self._conv_cfg = None if conv_cfg is None else dict(conv_cfg)
        self._norm_cfg = dict(norm_cfg or {'type': 'BN'})

    def conv1x1(self, in_channels: int, out_channels: int, *, bias: bool = False) -> nn.Module:
        """Pointwise convolution."""
        return build_conv_layer(self._conv_cfg, in_channels, out_channels, kernel_size=1, bias=bias)

    def conv3x3(
        self, in_channels: int, out_channels: int, *, stride: int = 1, bias: bool = False
    ) -> nn.Module:
        """3x3 convolution with padding 1."""
        return build_conv_layer(
            self._conv_cfg, in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=bias
        )

    def norm(self, channels: int) -> nn.Module:
        """Norm of ``channels`` channels."""
        return build_norm_layer(self._norm_cfg, channels)[1]


class NumberedNorms(nn.Module):
    """A module whose norms are named by type and number, as in checkpoints: ``bn1 bn2``, or ``gn1 gn2``."""

    norm_prefix: str

    def add_norm(self, number: int, norm: nn.Module) -> None:
        """Add the norm that follows ``conv<number>``."""
        self.norm_prefix = infer_abbr(type(norm))
        self.add_module(f'{self.norm_prefix}{number}', norm)

    def norm(self, number: int) -> nn.Module:
        """The norm that follows ``conv<number>``."""
        norm: nn.Module = getattr(self, f'{self.norm_prefix}{number}')
        return norm


class ResidualBlock(NumberedNorms):
    """``relu(residual(x) + shortcut(x))``; a subclass says what the residual is.

    Args:
        in_channels: channels of the input.
        channels: base channels; the output has ``channels * expansion``.
    """

    expansion: int
    depth: int  # convolutions in the residual

    def __init__(self, in_channels: int, channels: int, layers: Layers) -> None:
        super().__init__()

    def zero_last_norm(self) -> None:
        """Let the block start as its shortcut (Goyal et al. 2017, section 5.1)."""
        weight = getattr(self.norm(self.depth), 'weight', None)
        if weight is not None:  # an instance norm may have none
            nn.init.zeros_(weight)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions."""

    expansion = 1
    depth = 2

    def __init__(self, in_channels: int, channels: int, layers: Layers) -> None:
        super().__init__(in_channels, channels, layers)
        self.conv1 = layers.conv3x3(in_channels, channels)
        self.add_norm(1, layers.norm(channels))
        self.conv2 = layers.conv3x3(channels, channels)
        self.add_norm(2, layers.norm(channels))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, channels, H, W)``."""
        identity = x
        out = conv_norm(x, self.conv1, self.norm(1))
        out = self.relu(out)
        out = conv_norm(out, self.conv2, self.norm(2))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(ResidualBlock):
    """1x1 down, 3x3, 1x1 up to four times the base channels."""

    expansion = 4
    depth = 3

    def __init__(self, in_channels: int, channels: int, layers: Layers) -> None:
        super().__init__(in_channels, channels, layers)
        out_channels = channels * self.expansion
        self.conv1 = layers.conv1x1(in_channels, channels)
        self.add_norm(1, layers.norm(channels))
        self.conv2 = layers.conv3x3(channels, channels)
        self.add_norm(2, layers.norm(channels))
        self.conv3 = layers.conv1x1(channels, out_channels)
        self.add_norm(3, layers.norm(out_channels))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(in_channels, out_channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, 4 * channels, H, W)``."""
        identity = x
        out = conv_norm(x, self.conv1, self.norm(1))
        out = self.relu(out)
        out = conv_norm(out, self.conv2, self.norm(2))
        out = self.relu(out)
        out = conv_norm(out, self.conv3, self.norm(3))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


def projection(in_channels: int, out_channels: int, layers: Layers) -> ConvNorm | None:
    """The shortcut where the number of channels changes; ``None`` where it doesn't."""
    if in_channels == out_channels:
        return None
    return ConvNorm(layers.conv1x1(in_channels, out_channels), layers.norm(out_channels))


BLOCKS: dict[str, type[ResidualBlock]] = {'BASIC': BasicBlock, 'BOTTLENECK': Bottleneck}
