"""From a config and a checkpoint to a file that computes the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from tqdm import tqdm

from ..analysis.shapes import shape_of
from ..config.build import ImageFormat, build_trained, image_channels
from ..config.errors import refused
from ..config.joint import require_one_task
from ..deploy import to_inference_form
from ..utils import atomic_write, quiet
from .agreement import Agreement, Case, require_agreement
from .detectors import WholeDetector, predict_whole, unknown_part
from .formats import FORMATS, Format, Sides, require_target
from .outputs import NamedOutputs, drop_unused

#: Least score of boxes to compare, where a detector is sure of nothing in random images.
_COMPARED_SCORE = 1e-3


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how well it agrees.

    Attributes:
        out: The file.
        outputs: Output -> its shape for the images of the first agreement.
        agreements: One for each comparison.
        images: What the file expects of its images.
        sides: Which other sizes it takes, ``None`` for none.
        left_out: The part of a two-stage detector for which its second stage is not in the file, if any.
    """

    out: Path
    outputs: Mapping[str, tuple[int, ...]]
    agreements: Sequence[Agreement]
    images: ImageFormat
    sides: Sides | None
    left_out: str | None = None

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
            *([('left out', f'the second stage ({self.left_out})')] if self.left_out else []),
            ('compared on images', 'largest relative error'),
            *((str(each.case), str(each)) for each in self.agreements),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f'{name:<{width}}  {value}'.rstrip() for name, value in rows]
        size = self.out.stat().st_size / 2**20
        lines.append(f'written: {self.out}, {size:.1f} MiB, largest relative error {self.error:.1e}')
        return '\n'.join(lines)


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

    The file takes ``images``, ``(N, C, H, W)`` in float32 and normalised already, and gives what
    :class:`NamedOutputs` says; of one image a two-stage detector gives in ONNX what :class:`WholeDetector`
    says, where all its parts are known. It appears under its name only after it was run beside the model, as
    the config builds it, on random images.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        checkpoint: Path or URL of the weights, of any publisher.
        out: The file, ending in ``.onnx`` or ``.pt2``; one that exists is replaced.
        shape: Height and width of the images; default the config's.
        dynamic: Let the file take any number of images (a whole detector: one), and sides of any multiple of
            32 (in a ``.pt2`` of the coarsest map's stride); otherwise it takes one image of ``shape``.
        progress: Show a progress bar.

    Raises:
        ConfigError: if an argument is wrong, or the model can't be exported.
        Disagreement: if the file computes something else; it is not left behind.
        CheckpointError: if the weights are unreadable or of another network.
    """
    require_one_task(cfg)
    target = require_target(out)
    shape = shape or shape_of(cfg)
    form = FORMATS[target.suffix]
    sides = None
    if dynamic:
        sides = Sides.of(cfg, whole_maps=form.whole_maps)
        sides.require(shape)
    model = build_trained(cfg, checkpoint)
    left_out = _left_out(model, form)
    whole = left_out is None and hasattr(model, 'roi_head')
    case = partial(Case, channels=image_channels(model))
    cases = [case(1, shape, seed) for seed in range(2)]
    if sides is not None:
        batches = (1,) if whole else (1, 2)
        cases = [case(batch, size) for size in (shape, *sides.others(shape)) for batch in batches]
    # torch records a batch of one as a constant
    recorded = case(2 if dynamic and not whole else 1, shape)
    outputs = _truth(model, recorded, whole=whole)
    fast = to_inference_form(model)
    drop_unused(fast, second_stage=whole)
    named = (WholeDetector if whole else NamedOutputs)(fast).eval()

    def write(path: Path) -> list[Agreement]:
        with _possible(model, f'be exported to {target.suffix}'), torch.no_grad(), quiet():
            form.write(named, path, images=recorded.images(), outputs=outputs, sides=sides)
            exported = form.open(path)
        return [
            require_agreement(exported, each, _truth(model, each, whole=whole), out=target)
            for each in tqdm(cases, 'checking', disable=not progress, leave=False)
        ]

    with atomic_write(target) as aside:
        agreements = write(aside)
        if whole and not any(each.detections and each.detections[1] for each in agreements):
            with _least_score((model, fast), _COMPARED_SCORE):
                agreements = write(aside)
            write(aside)
    shapes = {name: x.shape if whole else (1, *x.shape[1:]) for name, x in outputs.items()}
    return ExportReport(target, shapes, agreements, ImageFormat.of(cfg), sides, left_out)


@contextmanager
def _least_score(models: Sequence[Any], score: float) -> Iterator[None]:
    """Detectors that give boxes from this score on, so that there are some to compare."""
    own = models[0].roi_head.test_cfg.score_thr
    for model in models:
        model.roi_head.test_cfg.score_thr = score
    yield
    for model in models:
        model.roi_head.test_cfg.score_thr = own


def _left_out(model: Any, form: Format) -> str | None:
    """Why a two-stage detector's second stage is not written, None where it is or there is none."""
    if not hasattr(model, 'roi_head'):
        return None
    return unknown_part(model) if form.any_number else 'its number of boxes differs, which .onnx alone takes'


def _truth(model: nn.Module, case: Case, *, whole: bool) -> dict[str, Tensor]:
    """What the model itself computes."""
    with _possible(model, f'run on images {case}'), torch.no_grad():
        images = case.images()
        outputs: dict[str, Tensor] = predict_whole(model, images) if whole else NamedOutputs(model)(images)
    return outputs


def _possible(model: nn.Module, what: str) -> AbstractContextManager[None]:
    return refused('CONFIG', type(model).__name__, expected=f'a model that can {what}')
