"""DeconvNet (Noh, Hong and Han, ICCV 2015, arXiv 1505.04366)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..models.arch import checked_int
from ..registry import register_model
from .vgg16 import MOST_CHANNELS, STRIDE, VGG16EncoderDecoder, conv_layers

#: Fully connected layers of torchvision's VGG-16 -> convolutions of the core that compute the same.
_FULLY_CONNECTED = {'classifier.0': 'core.0', 'classifier.3': 'core.3'}


@register_model(in_root=False)
class DeconvNet(VGG16EncoderDecoder):
    """DeconvNet as a backbone of mmseg (paper, figure 2): VGG-16, a core, and transposed convolutions.

    The core is VGG-16's fully connected layers as convolutions, 7x7 and 1x1, without padding, and a
    transposed 7x7 convolution back. On the paper's 224x224 it has one pixel; larger images are convolved, as
    in the SegNet paper's comparison at 360x480. Ahead of each of its layers' ReLU stands a norm.

    With the authors' 1x1 classifier of 21 classes, which is mmseg's
    ``dict(type='FCNHead', in_channels=64, channels=64, num_convs=0, concat_input=False)``, it has the
    251,805,653 parameters of their ``stage_2_train.prototxt``, the paper's 252 M (section 4.1).

    Args:
        in_channels: Channels of the image.
        base_channels: Channels of the first stage and of the output; those of the others are in proportion.
        core_channels: Channels of the core.
        core_kernel_size: Size of the core's kernels; less than the paper's 7 for smaller images.
        norm_cfg: Type of the norms, as mmcv's ``build_norm_layer`` takes it; default BN.
        init_cfg: MMEngine initialisation config, applied after the default one: Kaiming for convolutions.
            ``dict(type='Pretrained', checkpoint='torchvision://vgg16_bn')`` loads the encoder and, where the
            core has its sizes, the first two fully connected layers; so does a file of such weights. An
            encoder of another network or width is refused with a ``ValueError``.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        base_channels: int = 64,
        core_channels: int = 4096,
        core_kernel_size: int = 7,
        norm_cfg: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            nn.ConvTranspose2d,
            in_channels=in_channels,
            base_channels=base_channels,
            norm_cfg=norm_cfg,
            init_cfg=init_cfg,
        )
        core = checked_int('core_channels', core_channels, 1, MOST_CHANNELS)
        kernel = checked_int('core_kernel_size', core_kernel_size, 1, 7)
        self.core_kernel_size, self.least_side = kernel, (kernel - 1) * STRIDE + 1
        outer = 8 * base_channels
        self.core = nn.Sequential(
            *conv_layers(nn.Conv2d, [outer, core], self.norm_cfg, kernel_size=kernel, padding=0),
            *conv_layers(nn.Conv2d, [core, core], self.norm_cfg, kernel_size=1, padding=0),
            *conv_layers(nn.ConvTranspose2d, [core, outer], self.norm_cfg, kernel_size=kernel, padding=0),
        )

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Compute the feature map.

        Args:
            image: ``(N, in_channels, H, W)``, of any size of which the encoder's last map holds the core's
                first kernel: from 193x193 on at the paper's 7x7.

        Returns:
            One map, ``(N, base_channels, H, W)``.

        Raises:
            ValueError: the image is smaller, or has other channels.
        """
        height, width = image.shape[-2:]
        if min(height, width) < self.least_side:
            raise ValueError(
                f'image of {height}x{width} given to DeconvNet; expected at least {self.least_side} a side, '
                f'because of core_kernel_size={self.core_kernel_size}'
            )
        x, pooled = self.encode(image)
        return (self.decode(self.core(x), pooled),)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        """Take fully connected layers for the convolutions that they are."""
        own = dict(self.named_parameters())
        for theirs, ours in _FULLY_CONNECTED.items():
            for kind in ('weight', 'bias'):
                found, wanted = state_dict.get(f'{prefix}{theirs}.{kind}'), own[f'{ours}.{kind}']
                if found is not None and found.numel() == wanted.numel():
                    state_dict[f'{prefix}{ours}.{kind}'] = found.view_as(wanted)
        super()._load_from_state_dict(state_dict, prefix, *args)
