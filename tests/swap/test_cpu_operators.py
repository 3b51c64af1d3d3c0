"""Stand-ins for mmcv's GPU-only operators, against their definitions written as loops."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch
from mmcv.ops import roi_align

from hrnet_mm.swap.cpu_operators import carafe, cpu_operators, deform_roi_pool, masked_conv2d


def test_carafe_sums_each_neighbourhood_with_its_own_kernel():
    features, masks = torch.rand(1, 4, 3, 2), torch.rand(1, 2 * 9, 6, 4)
    result = carafe(features, masks, 3, 2, 2)
    padded = torch.nn.functional.pad(features, (1, 1, 1, 1))
    for channel in range(4):
        for y in range(6):
            for x in range(4):
                patch = padded[0, channel, y // 2 : y // 2 + 3, x // 2 : x // 2 + 3]
                kernel = masks[0, channel // 2 * 9 : channel // 2 * 9 + 9, y, x].view(3, 3)
                assert result[0, channel, y, x] == pytest.approx(float((patch * kernel).sum()), rel=1e-5)


def test_masked_convolution_is_zero_outside_the_mask():
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    image, mask = torch.rand(1, 3, 6, 7), torch.rand(1, 6, 7) > 0.5
    result = masked_conv2d(image, mask, conv.weight, conv.bias, 1)
    assert torch.equal(result[..., mask[0]], conv(image)[..., mask[0]])
    assert not result[..., ~mask[0]].any()


def test_deformable_pooling_without_offsets_is_roi_align():
    features = torch.rand(2, 3, 16, 16)
    rois = torch.tensor([[0, 4.0, 6.0, 40.0, 50.0], [1, 0.0, 0.0, 63.0, 20.0]])
    pooled = deform_roi_pool(features, rois, torch.zeros(2, 2, 4, 4), (4, 4), 0.25, 2)
    assert torch.allclose(pooled, roi_align(features, rois, 4, 0.25, 2, 'avg', True), atol=1e-5)


def test_deformable_pooling_moves_bins_by_shares_of_the_roi():
    features = torch.rand(1, 3, 32, 32)
    roi = torch.tensor([[0, 4.0, 4.0, 12.0, 20.0]])
    # a half of its width of 8 to the right, a quarter of its height of 16 down
    offset = torch.tensor([5.0, 2.5]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    moved = deform_roi_pool(features, roi, offset, (2, 2), 1.0, 2, gamma=0.1)
    there = torch.tensor([[0, 8.0, 8.0, 16.0, 24.0]])
    assert torch.allclose(moved, roi_align(features, there, 2, 1.0, 2, 'avg', True), atol=1e-5)


def test_operators_of_mmcv_come_back():
    module = import_module('mmcv.ops.carafe')  # the package's attribute of this name is the function
    theirs = module.carafe
    with pytest.raises(ValueError, match='inside'), cpu_operators():
        assert module.carafe is carafe
        raise ValueError('inside')
    assert module.carafe is theirs
