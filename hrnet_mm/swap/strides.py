"""Whether the strides that a detector's heads believe in are those of the maps they get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_SIDE = 256  # pixels: strides up to 64 still give maps of several cells

_OTHER_MAPS = 'semantic_roi_extractor'  # reads what a semantic head made of the maps


def check_strides(model: nn.Module, size: tuple[int, int]) -> None:
    """Compare the strides of prior generators and RoI extractors with the feature maps.

    A loss cannot show a wrong stride: boxes would merely lie elsewhere.

    Args:
        model: A detector, or anything else, which passes.
        size: Height and width of an image that the model is known to bear.

    Raises:
        ValueError: some strides differ.
    """
    part: Any = model.student if hasattr(model, 'student') else model
    believed = list(_believed(part))
    if not believed:
        return
    side = max(_SIDE, *size)
    part.eval()
    with torch.no_grad():
        maps = part.extract_feat(torch.zeros(1, 3, side, side))
    actual = [tuple(x.shape[-2:]) for x in maps if isinstance(x, Tensor) and x.ndim == 4]
    for name, strides in believed:
        _compare(name, strides, actual, side)


def _believed(model: nn.Module) -> Iterator[tuple[str, Sequence[float]]]:
    for name, module in model.named_modules():
        generator = getattr(module, 'prior_generator', None)
        strides = getattr(generator, 'strides', None)
        if strides is not None:
            yield f'{name}.prior_generator', [_first(stride) for stride in strides]
        featmap_strides = getattr(module, 'featmap_strides', None)
        if featmap_strides is not None and hasattr(module, 'roi_layers') and _OTHER_MAPS not in name:
            yield f'{name}.featmap_strides', [_first(stride) for stride in featmap_strides]


def _compare(name: str, strides: Sequence[float], shapes: Sequence[tuple[int, ...]], side: int) -> None:
    if len(strides) > len(shapes):
        raise ValueError(f'{name} has {len(strides)} strides, but there are {len(shapes)} maps')
    for stride, shape in zip(strides, shapes, strict=False):
        # one cell more or less is how convolutions without padding round
        if abs(side / stride - shape[-1]) > 1:
            raise ValueError(
                f'{name} has strides {list(strides)}, but the maps of an image of {side} pixels are '
                f'{", ".join(str(s[-1]) for s in shapes)} wide'
            )


def _first(stride: Any) -> float:
    return float(stride[0] if isinstance(stride, (list, tuple)) else stride)
