"""Folding batch norms into the convolutions before them: same outputs in eval mode, one pass less each.

``gamma * (W x + b - mean) / sqrt(var + eps) + beta`` is a convolution with the weight scaled per output
channel and another bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..models.blocks import ConvNormPairs
from ..models.conv_norm import ConvNorm


def can_fold(conv: object, norm: object) -> bool:
    """Whether ``norm`` is a batch norm with running statistics that follows a plain convolution."""
    return type(conv) is nn.Conv2d and isinstance(norm, _BatchNorm) and norm.running_mean is not None


def folded(conv: nn.Conv2d, norm: _BatchNorm) -> nn.Conv2d:
    """One convolution that does what ``norm(conv(x))`` does in eval mode; the arguments stay as they are."""
    assert norm.running_mean is not None and norm.running_var is not None
    # in float64, so that folding costs no more than the one rounding of its result
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    old_bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.detach().double()
    bias = (old_bias - norm.running_mean.double()) * scale
    if norm.bias is not None:
        bias = bias + norm.bias.detach().double()
    weight = conv.weight.detach().double() * scale.view(-1, 1, 1, 1)

    result = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        kernel_size=conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        groups=conv.groups,
        padding_mode=conv.padding_mode,
        device='meta',
    )
    result.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    result.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=False)
    return result.eval()


def fold_norms(model: nn.Module) -> int:
    """Fold, in place, wherever the order of execution is known: our pairs, ``ConvModule``, ``Sequential``.

    A convolution or norm that several modules share stays as it is, because folding it for one would
    change the others.

    Returns:
        How many norms were folded.
    """
    owners = _owners(model)
    count = 0
    for module in list(model.modules()):
        for conv_name, norm_name in _pairs(module):
            conv, norm = getattr(module, conv_name), getattr(module, norm_name)
            if can_fold(conv, norm) and owners[conv] == owners[norm] == 1:
                setattr(module, conv_name, folded(conv, norm))
                setattr(module, norm_name, nn.Identity())
                count += 1
    return count


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children of which the second surely takes what the first gives, and nobody else does."""
    if isinstance(module, ConvNormPairs):
        numbers = (name.removeprefix('conv') for name in module._modules if name.startswith('conv'))
        yield from ((f'conv{number}', f'{module.norm_prefix}{number}') for number in numbers)
    elif isinstance(module, ConvModule) and module.with_norm and module.order[:2] == ('conv', 'norm'):
        yield 'conv', module.norm_name
    elif type(module) in (nn.Sequential, ConvNorm):
        yield from pairwise(module._modules)


def _owners(model: nn.Module) -> dict[nn.Module, int]:
    """How many modules hold each module as a child."""
    counts: dict[nn.Module, int] = {}
    for parent in model.modules():
        for child in parent._modules.values():
            if child is not None:
                counts[child] = counts.get(child, 0) + 1
    return counts
