"""A convolution with its norm, and all that makes the plain modules faster on a CPU.

It acts on float32 tensors of a CPU, and not under autocast or while calls are traced, exported or compiled
(:func:`is_plain_cpu`). There :func:`fast_layout` gives an image the memory format in which oneDNN need not
reorder maps, and :func:`conv_norm`, where no gradients are wanted, takes a batch norm in eval mode into the
convolution before it. Elsewhere convolutions and norms are called as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

_BATCH_NORM_FORWARDS = (_BatchNorm.forward, nn.SyncBatchNorm.forward)


def is_plain_cpu(x: Tensor) -> bool:
    """Whether ``x`` is float32 on a CPU, and what is called with it is computed at once and as it is."""
    return (
        x.device.type == 'cpu'
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
    )


def fast_layout(image: Tensor) -> Tensor:
    """``image``, on a plain CPU channels last: oneDNN otherwise reorders each map around each convolution.

    Not for batch norms in training: torch sums their statistics less exactly in this format.
    """
    return image.contiguous(memory_format=torch.channels_last) if is_plain_cpu(image) else image


def in_layout_of(image: Tensor, x: Tensor) -> Tensor:
    """``x``, contiguous if ``image`` is: heads may take views of what they are given."""
    return x.contiguous() if image.is_contiguous() else x


def conv_norm(x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
    """``norm(conv(x))``, ``(N, C, H, W)`` -> ``(N, C', H', W')``; one convolution where that is the same."""
    folded = folded_weights(x, conv, norm)
    if folded is None:
        out: Tensor = norm(conv(x))
        return out
    assert isinstance(conv, nn.Conv2d)
    return F.conv2d(x, *folded, conv.stride, conv.padding, conv.dilation, conv.groups)


class ConvNorm(nn.Sequential):
    """A convolution, its norm and, if there is a third module, a ReLU; keys are ``Sequential``'s."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``."""
        conv, norm, *relu = self
        x = conv_norm(x, conv, norm)
        return relu[0](x) if relu else x


def folded_weights(x: Tensor, conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of the one convolution that does what ``norm(conv(x))`` does; ``None``: call both.

    They are made anew in each call, because weights may change between two calls in any way.
    """
    if torch.is_grad_enabled() or not is_plain_cpu(x) or not can_fold(conv, norm):
        return None
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, _BatchNorm)
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None
    if conv.padding_mode != 'zeros' or not norm.affine or not conv.weight.dtype == mean.dtype == x.dtype:
        return None
    # folding passes over the weights, a norm over the outputs
    outputs_per_channel = x.numel() // x.shape[1] // (conv.stride[0] * conv.stride[1])
    if conv.weight.numel() // conv.out_channels > outputs_per_channel:
        return None
    # as torch.nn.utils.fusion.fuse_conv_bn_weights, in half as many calls
    scale = (var + norm.eps).rsqrt_().mul_(norm.weight)
    shift = mean if conv.bias is None else mean - conv.bias
    return conv.weight * scale.view(-1, 1, 1, 1), torch.addcmul(norm.bias, shift, scale, value=-1)


def can_fold(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether ``norm(conv(x))`` is a convolution: a plain one, a batch norm in eval mode, and no hooks."""
    return (
        type(conv) is nn.Conv2d
        and isinstance(norm, _BatchNorm)
        and type(norm).forward in _BATCH_NORM_FORWARDS
        and not norm.training
        and norm.running_mean is not None
        and not any(module._forward_hooks or module._forward_pre_hooks for module in (conv, norm))
    )
