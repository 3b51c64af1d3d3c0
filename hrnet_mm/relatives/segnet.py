"""SegNet (Badrinarayanan, Kendall and Cipolla, TPAMI 2017, arXiv 1511.00561)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..registry import register_model
from .vgg16 import VGG16EncoderDecoder

_LAYERS_PER_CONV = 3  # with its norm and its ReLU


@register_model(in_root=False)
class SegNet(VGG16EncoderDecoder):
    """SegNet as a backbone of mmseg (paper, figure 2): VGG-16, and its mirror on max-unpooled maps.

    The decoder has 13 convolutions, as the encoder. In the authors' network (``segnet_train.prototxt`` of
    their SegNet-Tutorial) the last of them, 3x3, gives the classes. Here it is left to the head, and mmseg's
    is 1x1: ``dict(type='FCNHead', in_channels=64, channels=64, num_convs=0, concat_input=False)``.

    Parameters at the default width: 14.72 M in the encoder, the 14.7 M of the paper's section 3; 29,443,008
    in all, which with the authors' last convolution to 11 classes are the 29,449,355 of the prototxt: 117 MB
    in 32 bits, the model size of the paper's table 6.

    Args:
        in_channels: Channels of the image.
        base_channels: Channels of the first stage and of the output; those of the others are in proportion.
        norm_cfg: Type of the norms, as mmcv's ``build_norm_layer`` takes it; default BN.
        init_cfg: MMEngine initialisation config, applied after the default one: Kaiming for convolutions.
            ``dict(type='Pretrained', checkpoint='torchvision://vgg16_bn')`` loads the encoder, and so does a
            file of such weights. Weights of another network or width are refused with a ``ValueError``.

    Raises:
        ValueError: a number of channels is out of its range.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        base_channels: int = 64,
        norm_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            nn.Conv2d,
            in_channels=in_channels,
            base_channels=base_channels,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
        )
        self.decoder[-1] = nn.Sequential(*list(self.decoder[-1].children())[:-_LAYERS_PER_CONV])

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Compute the feature map.

        Args:
            image: ``(N, in_channels, H, W)``, any size from 1x1.

        Returns:
            One map, ``(N, base_channels, H, W)``.

        Raises:
            ValueError: the image has other channels.
        """
        return (self.decode(*self.encode(image)),)
