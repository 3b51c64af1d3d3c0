"""Whether an exported file computes what the model computes, at every size that it claims to take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config.errors import ConfigError, refused
from .detectors import same_detections

#: Largest error of an output over the output's largest magnitude.
TOLERANCE = 1e-4


class Disagreement(ConfigError):
    """The file computes something else than the model; it has not been left behind."""


@dataclass(frozen=True)
class Case:
    """Random images to compare on.

    Attributes:
        batch: How many.
        shape: Height and width in pixels.
        seed: Which ones.
        channels: Of an image.
    """

    batch: int
    shape: tuple[int, int]
    seed: int = 0
    channels: int = 3

    def images(self) -> Tensor:
        """``(batch, channels, *shape)``, float32, normally distributed as normalised images are."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.batch, self.channels, *self.shape, generator=generator)

    def __str__(self) -> str:
        return f'{self.batch} x {self.channels} x {self.shape[0]} x {self.shape[1]}'


@dataclass(frozen=True)
class Agreement:
    """One comparison.

    Attributes:
        cases: On which images, of each input of the file.
        errors: Output -> its largest error over its largest magnitude.
        detections: Of whole detectors, how many are the same, and of how many; the errors are of those.
    """

    cases: tuple[Case, ...]
    errors: Mapping[str, float]
    detections: tuple[int, int] | None = None

    @property
    def error(self) -> float:
        """The largest of all."""
        return max(self.errors.values())

    def __str__(self) -> str:
        same = f', {self.detections[0]} of {self.detections[1]} detections' if self.detections else ''
        return f'{self.error:.1e}{same}'


def require_agreement(
    exported: Callable[..., Mapping[str, Tensor]],
    cases: Sequence[Case],
    truth: Mapping[str, Tensor],
    *,
    out: Path,
) -> Agreement:
    """Compare the file's outputs with the model's.

    Args:
        exported: The file: images of each input -> outputs by name.
        cases: The images of each input.
        truth: What the model makes of them.
        out: The file's name, for the message.

    Raises:
        Disagreement: if an output is missing, of another shape or further off than ``TOLERANCE``.
        ConfigError: if the file cannot be run.
    """
    images = ', '.join(map(str, cases))

    def refusal(expected: str) -> Disagreement:
        return Disagreement(
            key='OUT', value=str(out), expected=f'{expected}, on images {images}. Nothing has been written'
        )

    with refused(
        'OUT', str(out), expected=f'a file that can be run on images {images}; it is not left behind'
    ):
        outputs = exported(*(case.images() for case in cases))
    counts = []
    for task in [name.removesuffix('boxes') for name in truth if name.rpartition('/')[2] == 'boxes']:
        own = [
            {name.removeprefix(task): x for name, x in each.items() if name.startswith(task)}
            for each in (outputs, truth)
        ]
        same = same_detections(*own, tolerance=TOLERANCE)
        numbers = [len(each['boxes']) for each in own]
        if same is None:
            raise refusal(f"the model's {numbers[1]} detections within {TOLERANCE:g}, relative")
        counts.append((len(same[0]['boxes']), max(numbers)))
        outputs, truth = (
            {**each, **{f'{task}{name}': x for name, x in found.items()}}
            for each, found in zip((outputs, truth), same, strict=True)
        )
    shapes, expected = ({name: tuple(x.shape) for name, x in each.items()} for each in (outputs, truth))
    if shapes != expected:
        raise refusal(f'outputs {expected}, not {shapes}')
    errors = {name: relative_error(outputs[name], like) for name, like in truth.items()}
    for name, off in errors.items():
        if off > TOLERANCE:
            raise refusal(f'{name} within {TOLERANCE:g} of the model, relative, not {off:.1e}')
    same_and_all = [sum(each) for each in zip(*counts, strict=True)]
    return Agreement(tuple(cases), errors, (same_and_all[0], same_and_all[1]) if counts else None)


def relative_error(values: Tensor, truth: Tensor) -> float:
    """Largest difference over the truth's largest magnitude; infinite where something is not a number."""
    if not truth.numel():  # no boxes were found
        return 0.0
    values, truth = values.double(), truth.double()
    scale = max(truth.abs().max().item(), torch.finfo(truth.dtype).tiny)
    error = (values - truth).abs().max().item() / scale
    return math.inf if math.isnan(error) else error
