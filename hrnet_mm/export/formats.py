"""The kinds of files that a model is exported to: how they are written and read, and what sizes they take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..config.errors import ConfigError, refused
from ..config.files import require_folder
from .inputs import Input, Sides
from .outputs import JointOutputs

_OPSET = 17
_LARGEST_BATCH, _LARGEST_SIDE = 1024, 16384

#: Images of each input -> outputs by name.
Exported = Callable[..., Mapping[str, Tensor]]


class _AsTuple(nn.Module):
    """Outputs in a tuple, as the tracer has them."""

    def __init__(self, named: nn.Module) -> None:
        super().__init__()
        self.named = named

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(*images).values())


def _write_onnx(
    named: nn.Module,
    path: Path,
    *,
    inputs: Sequence[Input],
    images: tuple[Tensor, ...],
    outputs: Mapping[str, Tensor],
    detections: Collection[str],
) -> None:
    axes: dict[str, dict[int, str]] = {name: {0: 'detections'} for name in detections}
    for each, recorded in zip(inputs, images, strict=True):
        if each.sides is not None:
            maps = {name: x for name, x in outputs.items() if each.makes(name) and name not in detections}
            for name, x in {each.name: recorded, **maps}.items():
                axes[name] = {} if len(recorded) == 1 else {0: each.name.replace('images', 'batch')}
                axes[name] |= {2: f'{name}_height', 3: f'{name}_width'} if x.ndim == 4 else {}
    # The tracer, not torch.export: it keeps sizes dynamic in operators that older runtimes read too.
    torch.onnx.export(
        _AsTuple(named),
        images,
        str(path),
        input_names=[each.name for each in inputs],
        output_names=list(outputs),
        opset_version=_OPSET,
        dynamic_axes=axes,
        dynamo=False,
    )


def _open_onnx(path: Path) -> Exported:
    runtime: Any = import_module('onnxruntime')
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    inputs, outputs = (
        [node.name for node in nodes] for nodes in (session.get_inputs(), session.get_outputs())
    )

    def run(*images: Tensor) -> dict[str, Tensor]:
        found = session.run(outputs, {name: x.numpy() for name, x in zip(inputs, images, strict=True)})
        return dict(zip(outputs, map(torch.from_numpy, found), strict=True))

    return run


def _write_program(
    named: nn.Module, path: Path, *, inputs: Sequence[Input], images: tuple[Tensor, ...], **_: Any
) -> None:
    shapes: Any = tuple(
        each.sides and _dimensions(each.sides, number=number) for number, each in enumerate(inputs)
    )
    if isinstance(named, JointOutputs):
        shapes = (shapes,)  # of its one argument, *images
    program = torch.export.export(
        named, images, dynamic_shapes=shapes if inputs[0].sides else None, strict=False
    )
    torch.export.save(program, path)


def _dimensions(sides: Sides, *, number: int) -> dict[int, Any]:
    """What varies of an input, under names that no other input has."""
    least, largest = sides.least // sides.step, _LARGEST_SIDE // sides.step
    height, width = (
        sides.step * torch.export.Dim(f'{name}_steps_{number}', min=least, max=largest)
        for name in ('height', 'width')
    )
    return {0: torch.export.Dim(f'batch_{number}', min=1, max=_LARGEST_BATCH), 2: height, 3: width}


def _open_program(path: Path) -> Exported:
    run: Exported = torch.export.load(path).module()
    return run


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        packages: What must be installed, beside torch.
        write: Writes a model's inference form, recorded on ``images``.
        open: Reads the file again, as something to run.
        whole_maps: Whether sides in a dynamic file must be whole numbers of the coarsest map's pixels.
        any_number: Whether a file can have outputs of any number of rows, as a detector's are.
    """

    packages: tuple[str, ...]
    write: Callable[..., None]
    open: Callable[[Path], Exported]
    whole_maps: bool
    any_number: bool


#: Ending of the file's name -> its format.
FORMATS: Final[Mapping[str, Format]] = {
    '.onnx': Format(('onnx', 'onnxruntime'), _write_onnx, _open_onnx, whole_maps=False, any_number=True),
    # torch records whether a pooling's windows fill its map
    '.pt2': Format((), _write_program, _open_program, whole_maps=True, any_number=False),
}


def require_target(path: str | Path) -> Path:
    """The path of a file that can be written and checked; its folder is made where it is missing.

    Raises:
        ConfigError: if the ending is unknown, the folder can't be made, or a package is missing.
    """
    target = Path(path)
    if target.suffix not in FORMATS or target.is_dir():
        raise ConfigError(
            key='OUT', value=str(path), expected=f'a file name ending in {" or ".join(FORMATS)}'
        )
    packages = FORMATS[target.suffix].packages
    for package in packages:
        expected = f'an installed {package}, which this needs: pip install {" ".join(packages)}'
        with refused('OUT', str(path), expected=expected):
            import_module(package)
    return require_folder(target.parent, key='OUT') / target.name
