"""Nothing is timed before every contestant has been seen to compute the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from hrnet_mm.config.errors import ConfigError

from .contestants import Contestant, Runner

#: Largest error of an output over the output's largest magnitude.
TOLERANCE: Mapping[str, float] = MappingProxyType({'fp32': 1e-4, 'bf16': 0.2, 'fp16': 0.02})
#: The same for the gradient furthest back, in the Euclidean norm: roundings tip ReLUs, and add up on the way
#: through some hundred layers. A gradient that is missing is 1 off.
GRADIENT_TOLERANCE: Mapping[str, float] = MappingProxyType({'fp32': 0.05, 'bf16': 0.9, 'fp16': 0.5})


class Disagreement(ConfigError):
    """A contestant computes something else; it is told in one line and nothing is timed."""


@dataclass(frozen=True)
class Truth:
    """What a plain network computes in float32.

    Attributes:
        outputs: all of them.
        gradient: in training, the one furthest back.
    """

    outputs: tuple[Tensor, ...]
    gradient: Tensor | None

    @classmethod
    def of(cls, runner: Runner) -> Truth:
        """Run the network."""
        with full_precision():
            return cls(tuple(runner.outputs()), runner.gradient())


def require_agreement(contestant: Contestant, truth: Truth) -> float:
    """Compare a contestant's outputs, and in training its gradient, with the plain network's.

    Args:
        contestant: who is checked.
        truth: what it should compute.

    Returns:
        The largest relative error of the outputs.

    Raises:
        Disagreement: if there are other outputs, or some are further off than ``TOLERANCE``.
    """
    with full_precision():
        found = contestant.runner.outputs()
        shapes, expected = [tuple(y.shape) for y in found], [tuple(y.shape) for y in truth.outputs]
        if shapes != expected:
            raise _refusal(contestant, f'outputs of shapes {expected}, not {shapes}')
        errors = [relative_error(y, like) for y, like in zip(found, truth.outputs, strict=True)]
        error = max(errors, key=lambda e: math.inf if math.isnan(e) else e)
        allowed = TOLERANCE[contestant.precision]
        if not error <= allowed:  # nan is no agreement
            raise _refusal(
                contestant, f"outputs within {allowed:g} of the peer's, relative; they are {error:.1e} off"
            )
        if truth.gradient is not None:
            _require_gradient(contestant, truth.gradient)
    return error


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Largest difference over the truth's largest magnitude."""
    scale = truth.abs().max().item()
    return (found.cpu() - truth.cpu()).abs().max().item() / max(scale, 1e-30)


def _require_gradient(contestant: Contestant, truth: Tensor) -> None:
    found = contestant.runner.gradient()
    if found is None or found.shape != truth.shape:
        raise _refusal(contestant, f'a gradient of shape {tuple(truth.shape)}')
    error = ((found - truth).norm() / truth.norm()).item()
    allowed = GRADIENT_TOLERANCE[contestant.precision]
    if not error <= allowed:
        raise _refusal(
            contestant, f"gradients within {allowed:g} of the peer's, relative; they are {error:.1e} off"
        )


def _refusal(contestant: Contestant, expected: str) -> Disagreement:
    return Disagreement(
        key='contestant', value=contestant.name, expected=f'{expected}. Nothing has been timed'
    )


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 is float32: no TF32 in convolutions and matrix products on a GPU."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = products
