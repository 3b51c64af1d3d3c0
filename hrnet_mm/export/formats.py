"""The kinds of files that a model is exported to: how each is written, and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from .outputs import NamedOutputs
from .sides import Sides

INPUT = 'images'
_OPSET = 17
_LARGEST_BATCH, _LARGEST_SIDE = 1024, 16384

#: Images -> outputs by name.
Runner = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Sample:
    """What an export is recorded on.

    Attributes:
        images: ``(N, 3, H, W)``.
        outputs: what the model makes of them, by name.
        sides: what a dynamic file must take, ``None`` for a file of this size alone.
    """

    images: Tensor
    outputs: Mapping[str, Tensor]
    sides: Sides | None


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        packages: what must be installed, beside torch.
        write: writes the file.
        open: reads it again, as something to run.
        whole_maps: whether sides in a dynamic file must be whole numbers of the coarsest map's pixels.
    """

    packages: tuple[str, ...]
    write: Callable[[NamedOutputs, Sample, Path], None]
    open: Callable[[Path], Runner]
    whole_maps: bool


class _Tuple(nn.Module):
    """Outputs in a tuple, as the tracer has them."""

    def __init__(self, named: NamedOutputs) -> None:
        super().__init__()
        self.named = named

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(images).values())


def _write_onnx(named: NamedOutputs, sample: Sample, path: Path) -> None:
    # The tracer, not torch.export: it keeps sizes dynamic in operators that older runtimes read too.
    torch.onnx.export(
        _Tuple(named),
        (sample.images,),
        str(path),
        input_names=[INPUT],
        output_names=list(sample.outputs),
        opset_version=_OPSET,
        dynamic_axes=None if sample.sides is None else _dynamic_axes(sample),
        dynamo=False,
    )


def _dynamic_axes(sample: Sample) -> dict[str, dict[int, str]]:
    def axes(name: str, x: Tensor) -> dict[int, str]:
        sides = {2: f'{name}_height', 3: f'{name}_width'} if x.ndim == 4 else {}
        return {0: 'batch', **sides}

    return {name: axes(name, x) for name, x in {INPUT: sample.images, **sample.outputs}.items()}


def _open_onnx(path: Path) -> Runner:
    runtime: Any = import_module('onnxruntime')
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        found = session.run(names, {INPUT: images.numpy()})
        return dict(zip(names, map(torch.from_numpy, found), strict=True))

    return run


def _write_program(named: NamedOutputs, sample: Sample, path: Path) -> None:
    shapes = None if sample.sides is None else {INPUT: _symbols(sample.sides)}
    program = torch.export.export(named, (sample.images,), dynamic_shapes=shapes, strict=False)
    torch.export.save(program, path)


def _symbols(sides: Sides) -> dict[int, Any]:
    least, largest = sides.least // sides.step, _LARGEST_SIDE // sides.step
    height, width = (
        sides.step * torch.export.Dim(name, min=least, max=largest)
        for name in ('height_steps', 'width_steps')
    )
    return {0: torch.export.Dim('batch', min=1, max=_LARGEST_BATCH), 2: height, 3: width}


def _open_program(path: Path) -> Runner:
    run: Runner = torch.export.load(path).module()
    return run


#: Ending of the file's name -> its format.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        '.onnx': Format(('onnx', 'onnxruntime'), _write_onnx, _open_onnx, whole_maps=False),
        # torch records whether a pooling's windows fill its map
        '.pt2': Format((), _write_program, _open_program, whole_maps=True),
    }
)
