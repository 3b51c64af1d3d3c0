"""What SegNet and DeconvNet have in common: VGG-16 with batch norm, and a decoder that mirrors it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..models.arch import checked_int

#: Channels of the convolutions of each stage, as multiples of the first one's: arXiv 1409.1556, table 1, D.
_STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
#: Pixels of the image for one of the encoder's last map, in height and in width.
STRIDE = 2 ** len(_STAGES)
MOST_CHANNELS = 2**16  # more is a slip, and would take all memory
_INIT: tuple[dict[str, Any], ...] = (
    {'type': 'Kaiming', 'layer': ['Conv2d', 'ConvTranspose2d']},
    {'type': 'Constant', 'val': 1, 'layer': ['_BatchNorm', 'GroupNorm']},
)


class Pooled(NamedTuple):
    """Where the maxima of a pooling lay.

    Attributes:
        indices: Positions in the flattened map that was pooled, ``(N, C, ceil(H / 2), ceil(W / 2))``, int64.
        size: Size of the map that was pooled, ``(N, C, H, W)``.
    """

    indices: Tensor
    size: Sequence[int]


def max_unpool(x: Tensor, pooled: Pooled) -> Tensor:
    """Put every value of ``x`` back where its maximum lay, and zeros elsewhere.

    What torch's ``max_unpool2d`` does, by an operator that ONNX has and that deterministic runs may use.
    """
    empty = x.new_zeros(pooled.size).flatten(2)
    return empty.scatter(2, pooled.indices.flatten(2), x.flatten(2)).view(pooled.size)


def conv_layers(
    conv: type[nn.Conv2d] | type[nn.ConvTranspose2d],
    channels: Iterable[int],
    norm_cfg: Mapping[str, Any],
    *,
    kernel_size: int = 3,
    padding: int = 1,
) -> list[nn.Module]:
    """Convolutions from each number of channels to the next, each with a bias, a norm and a ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers.append(conv(before, after, kernel_size=kernel_size, padding=padding))
        layers += [build_norm_layer(dict(norm_cfg), after)[1], nn.ReLU(inplace=True)]
    return layers


class VGG16EncoderDecoder(BaseModule):
    """VGG-16's convolutions, and the same backwards: unpooling where the encoder pools.

    The encoder's keys in the state dict are those of torchvision's ``vgg16_bn``.

    Args:
        decoder_conv: ``nn.Conv2d`` or ``nn.ConvTranspose2d``.
        in_channels: Channels of the image.
        base_channels: Channels of the first stage; those of the others are in proportion.
        norm_cfg: Type of the norms, as mmcv's ``build_norm_layer`` takes it; default BN.
        init_cfg: MMEngine initialisation config, applied after the default one: Kaiming for convolutions.

    Raises:
        ValueError: a number of channels is out of its range.
    """

    def __init__(
        self,
        decoder_conv: type[nn.Conv2d] | type[nn.ConvTranspose2d],
        *,
        in_channels: int,
        base_channels: int,
        norm_cfg: Mapping[str, Any] | None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    ) -> None:
        given = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg or []
        super().__init__(init_cfg=[dict(cfg) for cfg in (*_INIT, *given)])
        self.in_channels = checked_int('in_channels', in_channels, 1, MOST_CHANNELS)
        self.base_channels = checked_int('base_channels', base_channels, 1, MOST_CHANNELS)
        self.norm_cfg = norm_cfg or {'type': 'BN'}
        self.features = nn.Sequential()
        self.decoder = nn.ModuleList()
        before = in_channels
        for multiples in _STAGES:
            stage = [base_channels * multiple for multiple in multiples]
            self.features.extend(conv_layers(nn.Conv2d, [before, *stage], self.norm_cfg))
            # as Caffe pools: a last row or column that stands alone is kept, so that any size can be unpooled
            self.features.append(nn.MaxPool2d(2, stride=2, ceil_mode=True, return_indices=True))
            # the mirror ends in the channels that the stage began with, the image's excepted
            after = before if len(self.decoder) else base_channels
            mirror = conv_layers(decoder_conv, [*reversed(stage), after], self.norm_cfg)
            self.decoder.insert(0, nn.Sequential(*mirror))
            before = stage[-1]

    def encode(self, image: Tensor) -> tuple[Tensor, list[Pooled]]:
        """Run the encoder.

        Args:
            image: ``(N, in_channels, H, W)``.

        Returns:
            The last map, ``(N, 8 * base_channels, ceil(H / 32), ceil(W / 32))``, and what each pooling chose.

        Raises:
            ValueError: the image has other channels.
        """
        if image.ndim != 4 or image.shape[1] != self.in_channels:
            raise ValueError(
                f'image of shape {tuple(image.shape)} given to {type(self).__name__}; '
                f'expected (N, {self.in_channels}, H, W) (in_channels={self.in_channels})'
            )
        x, pooled = image, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                size = x.shape
                x, indices = layer(x)
                pooled.append(Pooled(indices, size))
            else:
                x = layer(x)
        return x, pooled

    def decode(self, x: Tensor, pooled: Sequence[Pooled]) -> Tensor:
        """``x``, of the size of the encoder's last map -> ``(N, base_channels, H, W)``."""
        for stage, where in zip(self.decoder, reversed(pooled), strict=True):
            x = stage(max_unpool(x, where))
        return x

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Refuse another encoder's weights, of which MMEngine would load what fits, and train on."""
        is_encoder = any(key.startswith(f'{prefix}features.') for key in state_dict)
        for name, parameter in self.features.named_parameters() if is_encoder else ():
            found = state_dict.get(f'{prefix}features.{name}')
            if found is None or found.shape != parameter.shape:
                given = 'missing' if found is None else f'of shape {tuple(found.shape)}'
                raise ValueError(
                    f'features.{name} is {given} in the checkpoint; {type(self).__name__} expected '
                    f"{tuple(parameter.shape)}: torchvision's vgg16_bn, or its layers at "
                    f'in_channels={self.in_channels}, base_channels={self.base_channels}'
                )
        super()._load_from_state_dict(state_dict, prefix, *args)
