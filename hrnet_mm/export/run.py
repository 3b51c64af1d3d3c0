"""From a config and a checkpoint to a file that computes the same."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn
from tqdm import tqdm

from ..analysis.shapes import shape_of
from ..config.build import ImageFormat, build_trained
from ..config.errors import ConfigError, one_line
from ..deploy import to_inference_form
from ..utils import quiet
from .agreement import Agreement, Case, cases_for, require_agreement
from .formats import FORMATS, Runner, Sample
from .outputs import NamedOutputs, drop_unused
from .request import require_target
from .sides import Sides

_MIB = 2**20


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how well it agrees.

    Attributes:
        out: the file.
        outputs: output -> its shape for the images of the first agreement.
        agreements: one for each comparison.
        images: what the file expects of its images.
        sides: which other sizes it takes, ``None`` for none.
    """

    out: Path
    outputs: Mapping[str, tuple[int, ...]]
    agreements: Sequence[Agreement]
    images: ImageFormat
    sides: Sides | None

    @property
    def error(self) -> float:
        """The largest relative error of all."""
        return max(agreement.error for agreement in self.agreements)

    def __str__(self) -> str:
        """Several lines."""
        rows = [
            ('images', str(self.agreements[0].case)),
            ('other sizes', 'none' if self.sides is None else str(self.sides)),
            ('normalised', str(self.images)),
            *((name, ' x '.join(map(str, shape))) for name, shape in self.outputs.items()),
            ('compared on images', 'largest relative error'),
            *((str(each.case), f'{each.error:.1e}') for each in self.agreements),
        ]
        width = max(len(name) for name, _ in rows)
        size = self.out.stat().st_size / _MIB
        return '\n'.join(
            [
                *(f'{name:<{width}}  {value}'.rstrip() for name, value in rows),
                f'written: {self.out}, {size:.1f} MiB, largest relative error {self.error:.1e}',
            ]
        )


def export_model(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    shape: tuple[int, int] | None = None,
    dynamic: bool = False,
    progress: bool = False,
) -> ExportReport:
    """Write a model's inference form as ONNX or as a program of ``torch.export``.

    The file takes ``images``, ``(N, 3, H, W)`` in float32 and normalised already, and gives what
    :class:`NamedOutputs` says. It appears under its name only after it was run beside the model, as the
    config builds it, on random images.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        checkpoint: Path or URL of the weights, of any publisher.
        out: The file, ending in ``.onnx`` or ``.pt2``; one that exists is replaced.
        shape: Height and width of the images; default the config's.
        dynamic: Let the file take any number of images, and sides of any multiple of 32 (in a ``.pt2`` of
            the coarsest map's stride); otherwise it takes one image of ``shape``.
        progress: Show a progress bar.

    Raises:
        ConfigError: if an argument is wrong, or the model can't be exported.
        Disagreement: if the file computes something else; it is not left behind.
        CheckpointError: if the weights are unreadable or of another network.
    """
    target = require_target(out)
    shape = shape or shape_of(cfg)
    sides = Sides.of(cfg, whole_maps=FORMATS[target.suffix].whole_maps) if dynamic else None
    if sides is not None:
        sides.require(shape)
    cases = cases_for(shape, sides)
    model = build_trained(cfg, checkpoint)
    case = Case(2 if dynamic else 1, shape)  # torch records a batch of one as a constant
    outputs = _truth(model, case)
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f'.{target.stem}_') as folder,
        tqdm(total=1 + len(cases), desc='exporting', disable=not progress, leave=False) as bar,
    ):
        aside = Path(folder) / target.name
        run = _written(model, Sample(case.images(), outputs, sides), aside)
        agreements = []
        for each in cases:
            bar.set_description('checking')
            bar.update()
            agreements.append(require_agreement(run, each, _truth(model, each), out=target))
        bar.update()
        os.replace(aside, target)
    shapes = {name: (cases[0].batch, *x.shape[1:]) for name, x in outputs.items()}
    return ExportReport(target, shapes, agreements, ImageFormat.of(cfg), sides)


def _truth(model: nn.Module, case: Case) -> dict[str, Tensor]:
    """What the model itself computes."""
    try:
        with torch.no_grad():
            outputs: dict[str, Tensor] = NamedOutputs(model)(case.images())
    except Exception as error:  # anything a model may raise
        raise _refusal(model, f'run on images {case}', error) from error
    return outputs


def _written(model: nn.Module, sample: Sample, path: Path) -> Runner:
    """Write the inference form, and open what was written."""
    fast = to_inference_form(model)
    drop_unused(fast)
    form = FORMATS[path.suffix]
    try:
        with torch.no_grad(), quiet():
            form.write(NamedOutputs(fast).eval(), sample, path)
            return form.open(path)
    except Exception as error:  # exporters and runtimes raise whatever they like
        raise _refusal(model, f'be exported to {path.suffix}', error) from error


def _refusal(model: nn.Module, what: str, error: Exception) -> ConfigError:
    return ConfigError(
        key='CONFIG', value=type(model).__name__, expected=f'a model that can {what} ({one_line(error)})'
    )
