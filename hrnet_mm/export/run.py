"""From a config and a checkpoint to a file that computes the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from tqdm import tqdm

from ..config.build import build_trained, image_channels
from ..config.errors import refused
from ..deploy import to_inference_form
from ..multi_task import MultiTaskModel
from ..utils import atomic_write, quiet
from .agreement import Agreement, Case, require_agreement
from .detectors import WholeDetector, predict_whole, unknown_part
from .formats import FORMATS, Format, require_target
from .inputs import Input
from .outputs import JointOutputs, NamedOutputs, drop_unused

#: Least score of boxes to compare, where a detector is sure of nothing in random images.
_COMPARED_SCORE = 1e-3


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how well it agrees.

    Attributes:
        out: The file.
        outputs: Output -> its shape for the images of the first agreement.
        agreements: One for each comparison.
        inputs: What the file takes.
        left_out: Task -> the part of its two-stage detector for which the second stage is not in the file;
            of a model of one task, ``''``.
    """

    out: Path
    outputs: Mapping[str, tuple[int, ...]]
    agreements: Sequence[Agreement]
    inputs: Sequence[Input]
    left_out: Mapping[str, str]

    @property
    def error(self) -> float:
        """The largest relative error of all."""
        return max(agreement.error for agreement in self.agreements)

    def __str__(self) -> str:
        """Several lines."""
        rows = [
            *(
                row
                for each, case in zip(self.inputs, self.agreements[0].cases, strict=True)
                for row in each.rows(case)
            ),
            *((name, ' x '.join(map(str, shape))) for name, shape in self.outputs.items()),
            *(
                (f'{task} left out'.strip(), f'the second stage ({part})')
                for task, part in self.left_out.items()
            ),
            ('compared on images', 'largest relative error'),
            *((', '.join(map(str, each.cases)), str(each)) for each in self.agreements),
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
    says, where all its parts are known. Of a model of several tasks outputs are ``<task>/<name>``, and tasks
    share an input where :class:`Input` says so. The file appears under its name only after it was run beside
    the model, as the config builds it, on random images.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        checkpoint: Path or URL of the weights, of any publisher.
        out: The file, ending in ``.onnx`` or ``.pt2``; one that exists is replaced.
        shape: Height and width of the images; default the config's, as :meth:`Input.of` says.
        dynamic: Let the file take any number of images (a whole detector: one), and sides of any multiple of
            32 (in a ``.pt2`` of the coarsest map's stride); otherwise it takes one image of ``shape``.
        progress: Show a progress bar.

    Raises:
        ConfigError: if an argument is wrong, or the model can't be exported.
        Disagreement: if the file computes something else; it is not left behind.
        CheckpointError: if the weights are unreadable or of another network.
    """
    target = require_target(out)
    form = FORMATS[target.suffix]
    inputs = Input.of(cfg, shape, dynamic=dynamic, whole_maps=form.whole_maps)
    model = build_trained(cfg, checkpoint)
    parts = _parts(model)
    left_out = {task: why for task, part in parts.items() if (why := _left_out(part, form))}
    whole = [task for task, part in parts.items() if hasattr(part, 'roi_head') and task not in left_out]
    comparisons = _comparisons(inputs, whole, channels=image_channels(model))
    # torch records a batch of one as a constant
    recorded = max(comparisons[:2], key=lambda cases: max(case.batch for case in cases))
    outputs = _truth(parts, inputs, recorded, whole=whole)
    fast = to_inference_form(model)
    named = _named(fast, inputs, whole)

    def write(path: Path) -> list[Agreement]:
        with _possible(model, f'be exported to {target.suffix}'), torch.no_grad(), quiet():
            form.write(
                named,
                path,
                inputs=inputs,
                images=tuple(case.images() for case in recorded),
                outputs=outputs,
                detections=[name for name in outputs if name.rpartition('/')[0] in whole],
            )
            exported = form.open(path)
        return [
            require_agreement(exported, cases, _truth(parts, inputs, cases, whole=whole), out=target)
            for cases in tqdm(comparisons, 'checking', disable=not progress, leave=False)
        ]

    with atomic_write(target) as aside:
        agreements = write(aside)
        if whole and not any(each.detections and each.detections[1] for each in agreements):
            detectors = [each[task] for each in (parts, _parts(fast)) for task in whole]
            with _least_score(detectors, _COMPARED_SCORE):
                agreements = write(aside)
            write(aside)
    shapes = {
        name: x.shape if name.rpartition('/')[0] in whole else (1, *x.shape[1:])
        for name, x in outputs.items()
    }
    return ExportReport(target, shapes, agreements, inputs, left_out)


def _parts(model: Any) -> dict[str, Any]:
    """Task -> its model; a model of one task under ``''``."""
    return dict(model.tasks) if isinstance(model, MultiTaskModel) else {'': model}


def _comparisons(inputs: Sequence[Input], whole: Collection[str], *, channels: int) -> list[tuple[Case, ...]]:
    """Images of each input to compare on; of one for a whole detector there is but one."""
    sizes = [
        (each.shape, *each.sides.others(each.shape)) if each.sides else (each.shape,) * 2 for each in inputs
    ]
    most = [1 if each.sides is None or {*whole} & {*each.tasks} else 2 for each in inputs]
    rows = [
        tuple(
            Case(min(batch, most[index]), shape, number * len(inputs) + index, channels)
            for index, shape in enumerate(shapes)
        )
        for number, shapes in enumerate(zip(*sizes, strict=True))
        for batch in (1, 2)
    ]
    return list(dict.fromkeys(rows))


def _named(fast: Any, inputs: Sequence[Input], whole: Collection[str]) -> nn.Module:
    """An inference form as images in and named tensors out, without what these do not depend on."""
    named: dict[str, nn.Module] = {}
    for task, part in _parts(fast).items():
        drop_unused(part, second_stage=task in whole)
        named[task] = (WholeDetector if task in whole else NamedOutputs)(part)
    alone = named.get('')
    return (alone or JointOutputs(fast, named, [each.tasks for each in inputs])).eval()


@contextmanager
def _least_score(models: Sequence[Any], score: float) -> Iterator[None]:
    """Detectors that give boxes from this score on, so that there are some to compare."""
    own = [model.roi_head.test_cfg.score_thr for model in models]
    for model in models:
        model.roi_head.test_cfg.score_thr = score
    yield
    for model, threshold in zip(models, own, strict=True):
        model.roi_head.test_cfg.score_thr = threshold


def _left_out(model: Any, form: Format) -> str | None:
    """Why a two-stage detector's second stage is not written, None where it is or there is none."""
    if not hasattr(model, 'roi_head'):
        return None
    return unknown_part(model) if form.any_number else 'its number of boxes differs, which .onnx alone takes'


def _truth(
    parts: Mapping[str, Any], inputs: Sequence[Input], cases: Sequence[Case], *, whole: Collection[str]
) -> dict[str, Tensor]:
    """What the models themselves compute."""
    outputs: dict[str, Tensor] = {}
    for task, case in ((task, case) for each, case in zip(inputs, cases, strict=True) for task in each.tasks):
        model = parts[task]
        with _possible(model, f'run on images {case}'), torch.no_grad():
            images = case.images()
            own = predict_whole(model, images) if task in whole else NamedOutputs(model)(images)
        outputs |= {f'{task}/{name}' if task else name: value for name, value in own.items()}
    return outputs


def _possible(model: nn.Module, what: str) -> AbstractContextManager[None]:
    return refused('CONFIG', type(model).__name__, expected=f'a model that can {what}')
