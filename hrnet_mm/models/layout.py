"""The order of a feature map's values in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def is_recorded() -> bool:
    """Whether the calls are being traced, exported or compiled."""
    return torch.compiler.is_compiling() or bool(torch.jit.is_tracing())  # type: ignore[attr-defined]


def autocast_is_off(image: Tensor) -> bool:
    """Whether an autocast could be switched on for ``image``; there is none for tensors without numbers."""
    return not image.is_meta and not torch.is_autocast_enabled(image.device.type)


def fast_layout(image: Tensor) -> Tensor:
    """``image`` in the memory format in which convolutions of its device and dtype are fastest.

    In float32 on a CPU that is channels last: oneDNN otherwise reorders each map before and after each
    convolution. Elsewhere the caller's choice stands, and so it does for a program that is being recorded.
    Not for batch norms in training: torch sums their statistics less exactly in this format.
    """
    if (
        image.device.type == 'cpu'
        and image.dtype == torch.float32
        and not torch.is_autocast_enabled('cpu')
        and not is_recorded()
    ):
        return image.contiguous(memory_format=torch.channels_last)
    return image


def in_layout_of(image: Tensor, x: Tensor) -> Tensor:
    """``x``, contiguous if ``image`` is: heads may take views of what they are given."""
    return x.contiguous() if image.is_contiguous() else x
