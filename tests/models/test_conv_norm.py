"""A convolution with its norm: in inference on a CPU folded, everywhere and always the same numbers."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from peers import assert_close, build_ours, images, scramble
from torch import nn

from hrnet_mm.models import conv_norm as conv_norm_file
from hrnet_mm.models.conv_norm import ConvNorm, conv_norm


def pair(*, bias: bool = False, stride: int = 1, **kwargs) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(3, 5, 3, stride=stride, padding=1, bias=bias)
    norm = nn.BatchNorm2d(5, **kwargs)
    scramble(nn.Sequential(conv, norm)).eval()
    return conv, norm


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for every call of ``conv_norm``: whether the norm was folded."""
    calls: list[bool] = []
    fold = conv_norm_file.folded_weights

    def watched(*args):
        weights = fold(*args)
        calls.append(weights is not None)
        return weights

    monkeypatch.setattr(conv_norm_file, 'folded_weights', watched)
    return calls


@torch.no_grad()
def test_it_is_the_formula(folds) -> None:
    x = images(dtype=torch.float64)
    for bias, stride, eps, relu in product([False, True], [1, 2], [1e-5, 1e-2], [False, True]):
        conv, norm = pair(bias=bias, stride=stride, eps=eps)
        both = ConvNorm(conv, norm, *([nn.ReLU(inplace=True)] if relu else []))
        truth = norm.double()(conv.double()(x))
        found = both.float()(x.float())
        assert_close(found.double(), truth.relu() if relu else truth, rel=1e-6)
    assert all(folds)


@torch.no_grad()
def test_weights_may_change_between_calls_in_any_way(folds) -> None:
    """As by mmengine's EMA hook, which writes behind autograd's back."""
    conv, norm = pair()
    x = images(dtype=torch.float32)
    for tensor in (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.data.mul_(1.5)
        assert_close(conv_norm(x, conv, norm), norm(conv(x)), rel=1e-5)
    assert folds == [True] * 5


def test_nothing_is_folded_that_would_not_be_the_same(folds) -> None:
    x = images(dtype=torch.float32)
    conv, norm = pair()

    class Odd(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x) + 1

    conv_norm(x, conv, norm)  # gradients are wanted
    with torch.no_grad():
        for module in (conv, norm):
            hook = module.register_forward_hook(lambda *_: None)
            conv_norm(x, conv, norm)
            hook.remove()
        conv_norm(x, conv, norm.train())
        conv_norm(x.double(), conv.double(), norm.double().eval())
        conv.float(), norm.float()
        conv_norm(x, conv, nn.GroupNorm(1, 5))
        conv_norm(x, conv, nn.BatchNorm2d(5, track_running_stats=False).eval())
        conv_norm(x, conv, Odd(5).eval())
        conv_norm(x, nn.Conv2d(3, 5, 3, padding_mode='reflect', padding=1), norm)
        conv_norm(torch.rand(1, 3, 2, 2), conv, norm)  # more weights than pixels
        with torch.autocast('cpu', dtype=torch.bfloat16):
            conv_norm(x, conv, norm)
        torch.jit.trace(ConvNorm(conv, norm), x, check_trace=False)
        assert folds and not any(folds)
        conv_norm(x, conv, norm)
        assert folds[-1]


@torch.no_grad()
@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_a_backbone_folds_and_outputs_keep_the_images_memory_format(layout, folds) -> None:
    backbone = scramble(build_ours('mmseg')).eval()
    x = images(dtype=torch.float32).contiguous(memory_format=layout)
    assert all(y.is_contiguous(memory_format=layout) for y in backbone(x))
    assert sum(folds) > len(folds) / 2  # the coarsest streams have more weights than pixels here
