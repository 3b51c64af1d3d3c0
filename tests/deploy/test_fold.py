"""Folding norms, against the unfolded pair."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from mmcv.cnn import ConvModule
from peers import assert_close, scramble
from torch import nn

from hrnet_mm.deploy.inference_form import fold_norms


@torch.no_grad()
def test_folded_equals_the_pair() -> None:
    x = torch.randn(2, 3, 7, 5, dtype=torch.float64)
    for bias, affine, stride, eps in product([False, True], [False, True], [1, 2], [1e-5, 1e-2]):
        conv = nn.Conv2d(3, 4, 3, stride=stride, padding=1, bias=bias)
        pair = scramble(nn.Sequential(conv, nn.BatchNorm2d(4, eps=eps, affine=affine))).double().eval()
        before = pair(x)
        assert fold_norms(pair) == 1
        assert_close(pair(x), before, rel=1e-12)


@torch.no_grad()
def test_what_is_more_than_its_weights_stays() -> None:
    """Norms that depend on the image, and modules that somebody watches."""
    watched = nn.BatchNorm2d(4)
    watched.register_forward_hook(lambda *_: None)
    norms = [nn.GroupNorm(1, 4), nn.BatchNorm2d(4, track_running_stats=False), nn.InstanceNorm2d(4), watched]
    for norm in norms:
        assert fold_norms(nn.Sequential(nn.Conv2d(4, 4, 1), norm).eval()) == 0


@torch.no_grad()
def test_a_shared_convolution_with_norms_of_its_own_stays() -> None:
    """As in RetinaSepBN and RTMDet: folding one level's norm into it would spoil the other levels."""
    levels = nn.ModuleList(ConvModule(3, 3, 1, norm_cfg=dict(type='BN')) for _ in range(2))
    levels[1].conv = levels[0].conv
    scramble(levels).eval()
    x = torch.randn(1, 3, 4, 4)
    before = [level(x) for level in levels]
    assert fold_norms(levels) == 0
    assert_close([level(x) for level in levels], before, rel=1e-6)


@torch.no_grad()
@pytest.mark.parametrize('order', [('conv', 'norm', 'act'), ('norm', 'conv', 'act'), ('conv', 'act', 'norm')])
def test_conv_modules_of_any_order(order) -> None:
    model = nn.ModuleList([scramble(ConvModule(3, 3, 3, padding=1, norm_cfg=dict(type='BN'), order=order))])
    model.eval()
    x = torch.randn(1, 3, 4, 4)
    before = model[0](x)
    assert fold_norms(model) == (order == ('conv', 'norm', 'act'))
    assert_close(model[0](x), before, rel=1e-5)


@torch.no_grad()
def test_children_of_unknown_order_stay() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.conv(self.norm(x))

    model = scramble(Odd()).eval()
    x = torch.randn(1, 3, 4, 4)
    before = model(x)
    assert fold_norms(model) == 0
    assert torch.equal(model(x), before)
