"""A convolution with its norm: in inference on a CPU folded, everywhere and always the same numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import assert_close, build_ours, images, scramble
from torch import nn
from torch.nn import functional as F

from hrnet_mm.models import conv_norm as module
from hrnet_mm.models.conv_norm import ConvNorm, conv_norm


def pair(*, bias: bool = False, affine: bool = True, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(3, 5, 3, stride=stride, padding=1, bias=bias)
    norm = nn.BatchNorm2d(5, affine=affine)
    scramble(nn.Sequential(conv, norm)).eval()
    return conv, norm


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for every norm that was folded."""
    calls: list[bool] = []
    fold = module.folded
    monkeypatch.setattr(module, 'folded', lambda *args: calls.append(True) or fold(*args))
    return calls


@given(
    bias=st.booleans(), affine=st.booleans(), stride=st.integers(1, 2), relu=st.booleans(), add=st.booleans()
)
@settings(max_examples=32, deadline=None)
@torch.no_grad()
def test_it_is_the_formula(bias, affine, stride, relu, add) -> None:
    conv, norm = pair(bias=bias, affine=affine, stride=stride)
    x = images(dtype=torch.float64)
    truth = norm.double()(conv.double()(x))
    other = torch.randn_like(truth) if add else None
    truth = truth if other is None else truth + other
    truth = F.relu(truth) if relu else truth
    found = conv_norm(
        x.float(),
        conv.float(),
        norm.float(),
        relu=nn.ReLU(inplace=True) if relu else None,
        add=None if other is None else other.float(),
    )
    assert_close(found.double(), truth, rel=1e-6)


@torch.no_grad()
def test_weights_may_change_between_calls_in_any_way(folds) -> None:
    """As by mmengine's EMA hook, which writes behind autograd's back."""
    conv, norm = pair()
    x = images(dtype=torch.float32)
    for number, tensor in enumerate(
        (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    ):
        tensor.data.mul_(1.5)
        assert_close(conv_norm(x, conv, norm), norm(conv(x)), rel=1e-5)
        assert len(folds) == number + 1


def _hooked(which: str):
    conv, norm = pair()
    seen: list[str] = []
    (conv if which == 'conv' else norm).register_forward_hook(lambda *_: seen.append(which))
    return conv, norm, seen


@torch.no_grad()
@pytest.mark.parametrize('which', ['conv', 'norm'])
def test_hooks_are_called(which, folds) -> None:
    conv, norm, seen = _hooked(which)
    conv_norm(images(dtype=torch.float32), conv, norm)
    assert seen == [which]
    assert not folds


def test_nothing_is_folded_that_would_not_be_the_same(folds) -> None:
    x = images(dtype=torch.float32)
    conv, norm = pair()
    conv_norm(x, conv, norm)  # gradients are wanted
    with torch.no_grad():
        conv_norm(x, conv, norm.train())
        conv_norm(x.double(), conv.double(), norm.double().eval())
        conv.float(), norm.float()
        conv_norm(x, conv, nn.GroupNorm(1, 5))
        conv_norm(x, nn.Conv2d(3, 5, 3, padding_mode='reflect', padding=1), norm)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            conv_norm(x, conv, norm)
        torch.jit.trace(ConvNorm(conv, norm), x, check_trace=False)
        assert not folds
        conv_norm(x, conv, norm)
        assert folds


@torch.no_grad()
def test_few_pixels_and_many_weights_are_left_apart(folds) -> None:
    conv, norm = pair()
    conv_norm(torch.rand(1, 3, 2, 2), conv, norm)
    assert not folds


@torch.no_grad()
@pytest.mark.parametrize('channels_last', [False, True])
def test_outputs_keep_the_images_memory_format(channels_last) -> None:
    backbone = scramble(build_ours('mmseg')).eval()
    x = images(dtype=torch.float32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    for y in backbone(x):
        assert y.is_contiguous(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
