"""Parameters and multiply-accumulates of a whole model, on the meta device: shapes without numbers.

torch's own counter does the counting. It sees convolutions, matrix products and attention; as in the
published figures, norms, activations, additions and resizing count nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..models import HRFPN, HRNetV2Neck
from .quick_norms import QuickNorms
from .running import auxiliary_heads, build_on_meta, default_rois, empty_image, has_rois, run


@dataclass(frozen=True)
class Complexity:
    """Size of a model.

    Attributes:
        params: all parameters.
        norm_params: those of them that belong to norms.
        auxiliary_params: those of them in heads that only training runs; their products are not counted.
        macs: multiply-accumulates for one image, with every concatenation convolved as the papers draw it.
        macs_as_run: the same as our necks do it, which convolve before they upsample where that pays.
        rois: RoIs that box heads were counted on, ``None`` where there are none.
    """

    params: int
    norm_params: int
    macs: int
    macs_as_run: int
    rois: int | None
    auxiliary_params: int = 0


def measure(cfg: Config, shape: Sequence[int], *, rois: int | None = None) -> Complexity:
    """Build a config's model on the meta device and count.

    Args:
        cfg: a config of any of the four codebases.
        shape: height and width of the image.
        rois: RoIs for box heads; default what the config's RPN hands on (``test_cfg.rpn.max_per_img``).

    Raises:
        ConfigError: if the model can't be built, or can't be run without data.
    """
    return complexity_of(build_on_meta(cfg), shape, rois=rois)


def complexity_of(model: nn.Module, shape: Sequence[int], *, rois: int | None = None) -> Complexity:
    """The same for a model that is built already, on any device."""
    image = empty_image(model, shape)
    if rois is None or not has_rois(model):
        rois = default_rois(model)
    with _concatenating(model) as differs:
        macs = _count(model, image, rois)
    return Complexity(
        params=_number(model),
        norm_params=sum(_number(norm) for norm in _norms(model)),
        macs=macs,
        macs_as_run=_count(model, image, rois) if differs else macs,
        rois=rois,
        auxiliary_params=sum(_number(head) for head in auxiliary_heads(model)),
    )


def _count(model: nn.Module, image: Tensor, rois: int | None) -> int:
    with torch.no_grad(), QuickNorms(), FlopCounterMode(display=False) as counter:
        run(model, image, rois)
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition each


def _number(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


class _UnsplitConv2d(nn.Conv2d):
    """A convolution that a neck leaves whole: necks split plain ``Conv2d`` alone over their streams."""


@contextmanager
def _concatenating(model: nn.Module) -> Iterator[bool]:
    """Let our necks concatenate before they convolve, as the papers draw it and the authors count it.

    Yields whether the model has such necks.
    """
    find: dict[type, Callable[[Any], Any]] = {
        HRFPN: lambda neck: neck.reduction_conv,
        HRNetV2Neck: lambda neck: neck.mix,
    }
    mixes = [find[type(m)](m) for m in model.modules() if type(m) in find]
    convs = [mix.conv for mix in mixes if mix is not None and type(mix.conv) is nn.Conv2d]
    for conv in convs:
        conv.__class__ = _UnsplitConv2d
    try:
        yield bool(convs)
    finally:
        for conv in convs:
            conv.__class__ = nn.Conv2d


def _norms(model: nn.Module) -> Iterator[nn.Module]:
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return (m for m in model.modules() if isinstance(m, kinds))
