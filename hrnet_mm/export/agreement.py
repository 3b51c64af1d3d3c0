"""Whether an exported file computes what the model computes, at every size that it claims to take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.errors import ConfigError, one_line
from .formats import Runner
from .sides import Sides

#: Largest error of an output over the output's largest magnitude.
TOLERANCE = 1e-4
_BATCHES = (1, 2)


class Disagreement(ConfigError):
    """The file computes something else than the model; it has not been left behind."""


@dataclass(frozen=True)
class Case:
    """Random images to compare on.

    Attributes:
        batch: how many.
        shape: height and width in pixels.
        seed: which ones.
    """

    batch: int
    shape: tuple[int, int]
    seed: int = 0

    def images(self) -> Tensor:
        """``(batch, 3, *shape)``, normally distributed, as normalised images are."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.batch, 3, *self.shape, generator=generator)

    def __str__(self) -> str:
        return f'{self.batch} x 3 x {self.shape[0]} x {self.shape[1]}'


@dataclass(frozen=True)
class Agreement:
    """One comparison.

    Attributes:
        case: on which images.
        errors: output -> its largest error over its largest magnitude.
    """

    case: Case
    errors: Mapping[str, float]

    @property
    def error(self) -> float:
        """The largest of all."""
        return max(self.errors.values())


def cases_for(shape: tuple[int, int], sides: Sides | None) -> list[Case]:
    """Where to compare.

    Args:
        shape: height and width that the file was recorded at.
        sides: what a dynamic file takes, ``None`` for a file of one size.

    Returns:
        Two images of the one size; or one and two images of three sizes, the shape first.
    """
    if sides is None:
        return [Case(1, shape, seed) for seed in range(2)]
    return [Case(batch, size) for size in (shape, *sides.others(shape)) for batch in _BATCHES]


def require_agreement(run: Runner, case: Case, truth: Mapping[str, Tensor], *, out: Path) -> Agreement:
    """Compare the file's outputs with the model's.

    Args:
        run: the file.
        case: the images.
        truth: what the model makes of them.
        out: the file's name, for the message.

    Raises:
        Disagreement: if an output is missing, of another shape or further off than ``TOLERANCE``, or if the
            file cannot be run.
    """
    try:
        found = run(case.images())
    except Exception as error:  # runtimes raise whatever they like
        raise _refusal(out, case, f'a file that can be run ({one_line(error)})') from error
    shapes, expected = ({name: tuple(x.shape) for name, x in each.items()} for each in (found, truth))
    if shapes != expected:
        raise _refusal(out, case, f'outputs {expected}, not {shapes}')
    agreement = Agreement(case, {name: relative_error(found[name], like) for name, like in truth.items()})
    for name, off in agreement.errors.items():
        if off > TOLERANCE:
            raise _refusal(out, case, f'{name} within {TOLERANCE:g} of the model, relative, not {off:.1e}')
    return agreement


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Largest difference over the truth's largest magnitude; infinite where something is not a number."""
    scale = max(truth.abs().max().item(), torch.finfo(truth.dtype).tiny)
    error = (found - truth).abs().max().item() / scale
    return math.inf if math.isnan(error) else error


def _refusal(out: Path, case: Case, expected: str) -> Disagreement:
    return Disagreement(
        key='OUT', value=str(out), expected=f'{expected}, on images {case}. Nothing has been written'
    )
