"""mmcv's operators that exist for GPUs alone, written with PyTorch's own, so that a CPU can prove a model.

Their results are those of the definitions; they are slow, and only stand in while a proof runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor


def carafe(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """Content-aware reassembly (arXiv 1905.02188, equation 3) with the arguments of ``mmcv.ops.carafe``.

    ``features`` are (N, C, H, W). ``masks`` are (N, kernel_size**2 * group_size, H * scale_factor,
    W * scale_factor): a kernel for each pixel of the result and group of channels.
    """
    n, channels, height, width = features.shape
    size = (height * scale_factor, width * scale_factor)
    patches = F.unfold(features, kernel_size, padding=kernel_size // 2)
    patches = patches.view(n, channels * kernel_size**2, height, width)
    patches = F.interpolate(patches, size=size, mode='nearest')
    patches = patches.view(n, group_size, channels // group_size, kernel_size**2, *size)
    kernels = masks.view(n, group_size, 1, kernel_size**2, *size)
    return (patches * kernels).sum(3).view(n, channels, *size)


def masked_conv2d(
    features: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, padding: int = 0, stride: int = 1
) -> Tensor:
    """A convolution of (1, C, H, W) that keeps its size, zero where the (1, H, W) mask is not positive."""
    return F.conv2d(features, weight, bias, stride=stride, padding=padding) * (mask > 0)[:, None]


def deform_roi_pool(
    features: Tensor,
    rois: Tensor,
    offset: Tensor | None,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = 0,
    gamma: float = 0.1,
) -> Tensor:
    """RoIAlign whose every bin is moved (arXiv 1703.06211, equation 5); gives the offsets no gradient.

    ``features`` are (N, C, H, W); ``rois`` are (R, 5): index of the image, x1, y1, x2, y2 in its pixels;
    ``offset`` is (R, 2, *output_size): x and y, as shares of the RoI's size times ``gamma``.
    """
    from mmcv.ops import roi_align

    rows, columns = (output_size, output_size) if isinstance(output_size, int) else output_size
    count = len(rois)
    if count == 0:
        return features.new_zeros(0, features.shape[1], rows, columns)
    corner, extent = rois[:, 1:3], rois[:, 3:5] - rois[:, 1:3]
    bin_size = extent / extent.new_tensor([columns, rows])
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing='ij')
    steps = torch.stack([x, y], dim=-1).to(rois)  # (rows, columns, 2)
    starts = corner[:, None, None] + bin_size[:, None, None] * steps
    if offset is not None and offset.numel():
        starts = starts + gamma * extent[:, None, None] * offset.detach().permute(0, 2, 3, 1)
    ends = starts + bin_size[:, None, None]
    image = rois[:, None, None, :1].expand(count, rows, columns, 1)
    bins = torch.cat([image, starts, ends], dim=-1).view(-1, 5)
    pooled = roi_align(features, bins, 1, spatial_scale, sampling_ratio, 'avg', True)
    return pooled.view(count, rows, columns, -1).permute(0, 3, 1, 2).contiguous()


#: Module of mmcv -> name of the operator there -> what stands in.
_STAND_INS: Final[Mapping[str, tuple[str, Callable[..., Tensor]]]] = {
    'mmcv.ops.carafe': ('carafe', carafe),
    'mmcv.ops.masked_conv': ('masked_conv2d', masked_conv2d),
    'mmcv.ops.deform_roi_pool': ('deform_roi_pool', deform_roi_pool),
}


@contextmanager
def cpu_operators() -> Iterator[None]:
    """Let mmcv's modules use these while a proof runs on a CPU, and the old ones again afterwards."""
    before: list[tuple[Any, str, Any]] = []
    for path, (name, ours) in _STAND_INS.items():
        try:
            module = import_module(path)
        except ImportError:  # mmpretrain lives with an mmcv without operators
            continue
        before.append((module, name, getattr(module, name)))
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, theirs in before:
            setattr(module, name, theirs)
