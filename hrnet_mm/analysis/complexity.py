"""Parameters and multiply-accumulates of a whole model, on the meta device: shapes without numbers.

torch's own counter does the counting. It sees convolutions, matrix products and attention; as in the
published figures, norms, activations, additions and resizing count nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..config.build import build_model
from ..models import HRFPN, HRNetV2Neck
from .memory import QuickNorms
from .running import auxiliary_heads, default_rois, empty_image, has_rois, run

#: Publications on HRNet divide multiply-accumulates by this and call the quotient GFLOPs.
GIGA = 2**30
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Complexity:
    """Size of a model.

    Attributes:
        params: All parameters.
        norm_params: Those of them that belong to norms.
        auxiliary_params: Those of them in heads that only training runs; their products are not counted.
        macs: Multiply-accumulates for one image, with every concatenation convolved as the papers draw it.
        macs_as_run: The same as our necks do it, which convolve before they upsample where that pays.
        rois: RoIs that box heads were counted on, ``None`` where there are none.
    """

    params: int
    norm_params: int
    macs: int
    macs_as_run: int
    rois: int | None
    auxiliary_params: int = 0

    def as_text(self, shape: Sequence[int]) -> str:
        """One fact a line, for an image of that height and width."""
        where = f'one image of {shape[0]}x{shape[1]}'
        if self.rois is not None:
            where += f', {self.rois} RoIs in the box head'
        lines = [
            f'parameters            {self.params:,} ({self.params / 1e6:.1f} M)',
            f'multiply-accumulates  {self.macs:,} ({self.macs / GIGA:.2f} x 2^30; {where})',
        ]
        if self.auxiliary_params:
            lines.append(
                f'for training alone    {self.auxiliary_params:,} parameters of auxiliary heads, not run'
            )
        if self.macs_as_run != self.macs:
            lines.append(f'as run here           {self.macs_as_run:,} (necks convolve before they upsample)')
        return '\n'.join(lines)


def measure(cfg: Config, shape: Sequence[int], *, rois: int | None = None) -> Complexity:
    """Build a config's model on the meta device and count.

    Args:
        cfg: A config of any codebase.
        shape: Height and width of the image, in pixels.
        rois: RoIs for box heads; default what the config's RPN hands on (``test_cfg.rpn.max_per_img``).

    Raises:
        ConfigError: if the model can't be built, or can't be run without data.
    """
    return complexity_of(build_model(cfg, device='meta'), shape, rois=rois)


def complexity_of(model: nn.Module, shape: Sequence[int], *, rois: int | None = None) -> Complexity:
    """The same for a model that is built already, on any device."""
    image = empty_image(model, shape)
    if rois is None or not has_rois(model):
        rois = default_rois(model)
    with _concatenating(model) as differs:
        macs = _count(model, image, rois)
    return Complexity(
        params=_number(model),
        norm_params=sum(_number(m) for m in model.modules() if isinstance(m, _NORMS)),
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
    mixes: list[Any] = [m.reduction_conv for m in model.modules() if type(m) is HRFPN]
    mixes += [m.mix for m in model.modules() if type(m) is HRNetV2Neck and m.mix is not None]
    convs = [mix.conv for mix in mixes if type(mix.conv) is nn.Conv2d]
    for conv in convs:
        conv.__class__ = _UnsplitConv2d
    try:
        yield bool(convs)
    finally:
        for conv in convs:
            conv.__class__ = nn.Conv2d
