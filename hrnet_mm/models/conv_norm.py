"""A convolution, its norm and what follows; a CPU in inference takes the norm into the convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from .layout import is_recorded

_BATCH_NORM_FORWARDS = (_BatchNorm.forward, nn.SyncBatchNorm.forward)


def conv_norm(
    x: Tensor, conv: nn.Module, norm: nn.Module, *, relu: nn.Module | None = None, add: Tensor | None = None
) -> Tensor:
    """``relu(norm(conv(x)) + add)``.

    Where batch norms are folded, they and the convolutions are taken as they are at that moment. Nothing is
    kept from one call to the next: weights may change in between, in any way.

    Args:
        x: ``(N, C, H, W)``.
        relu: what ends the call, if anything.
        add: ``(N, C', H', W')``, of the result's shape.
    """
    if can_fold(x, conv, norm) and _pays(x, conv):
        assert isinstance(conv, nn.Conv2d)
        out = F.conv2d(x, *folded(conv, norm), conv.stride, conv.padding, conv.dilation, conv.groups)
    else:
        out = norm(conv(x))
    if add is not None:
        out += add
    return out if relu is None else relu(out)


class ConvNorm(nn.Sequential):
    """A convolution, its norm and, if there is a third module, a ReLU; keys are ``Sequential``'s."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``."""
        conv, norm, *relu = self
        return conv_norm(x, conv, norm, relu=relu[0] if relu else None)


def can_fold(x: Tensor, conv: nn.Module, norm: nn.Module) -> bool:
    """Whether ``norm(conv(x))`` is one convolution here: a CPU's inference with plain modules."""
    return _in_cpu_inference(x) and _foldable(conv, norm)


def folded(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does what ``norm(conv(x))`` does in eval mode."""
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt_()
    if norm.weight is not None:
        scale *= norm.weight
    mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
    bias = -mean * scale if norm.bias is None else torch.addcmul(norm.bias, mean, scale, value=-1)
    return conv.weight * scale.view(-1, 1, 1, 1), bias


def _in_cpu_inference(x: Tensor) -> bool:
    return (
        x.device.type == 'cpu'
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled('cpu')
        and not is_recorded()
    )


def _foldable(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether calling the modules does what their weights say and nothing else."""
    return (
        type(conv) is nn.Conv2d
        and conv.padding_mode == 'zeros'
        and conv.weight.dtype == torch.float32
        and isinstance(norm, _BatchNorm)
        and type(norm).forward in _BATCH_NORM_FORWARDS
        and not norm.training
        and norm.running_mean is not None
        and norm.running_mean.dtype == torch.float32
        and not any(module._forward_hooks or module._forward_pre_hooks for module in (conv, norm))
    )


def _pays(x: Tensor, conv: nn.Module) -> bool:
    """Whether the weights are fewer than the outputs: folding passes over those, a norm over these."""
    assert isinstance(conv, nn.Conv2d)
    outputs_per_channel = x.numel() // x.shape[1] // (conv.stride[0] * conv.stride[1])
    return conv.weight.numel() // conv.out_channels <= outputs_per_channel
