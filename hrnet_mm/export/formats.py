"""The kinds of files that a model is exported to: how they are written and read, and what sizes they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ..config.build import build_model, image_channels
from ..config.errors import ConfigError, refused
from ..config.files import require_folder
from .detectors import WholeDetector
from .outputs import NamedOutputs

INPUT = 'images'
#: The backbone's coarsest stride: at multiples of it no stream is ever cropped, which would be recorded.
BACKBONE_STRIDE = 32
_OPSET = 17
_LARGEST_BATCH, _LARGEST_SIDE = 1024, 16384
_PROBE = 2048  # pixels a side, without numbers

#: Images -> outputs by name.
Exported = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Sides:
    """Heights and widths that a dynamic file takes: multiples of ``step`` pixels from ``least`` on."""

    step: int
    least: int

    @classmethod
    def of(cls, cfg: Config, *, whole_maps: bool) -> Sides:
        """What a config's model takes once it is recorded.

        Every map must have two pixels a side: torch records a single one as a constant.

        Args:
            cfg: A config, whose model is run on shapes alone.
            whole_maps: Whether a side must also be a whole number of the coarsest map's pixels.

        Raises:
            ConfigError: if the model can't be run so.
        """
        model = build_model(cfg, device='meta')
        expected = 'a model that can be run on shapes alone'
        with refused('--dynamic', type(model).__name__, expected=expected), torch.no_grad():
            channels = image_channels(model)
            outputs = NamedOutputs(model)(torch.empty(1, channels, _PROBE, _PROBE, device='meta'))
        strides = [_PROBE // x.shape[2] for x in outputs.values() if x.ndim == 4]
        coarsest = max([BACKBONE_STRIDE, *strides])
        return cls(step=coarsest if whole_maps else BACKBONE_STRIDE, least=2 * coarsest)

    def __str__(self) -> str:
        return f'any number of images, height and width multiples of {self.step} from {self.least} on'

    def require(self, shape: tuple[int, int]) -> None:
        """Refuse a shape that is not one of these.

        Raises:
            ConfigError: naming ``--shape``.
        """
        if min(shape) < self.least or any(side % self.step for side in shape):
            raise ConfigError(
                key='--shape',
                value=' '.join(map(str, shape)),
                expected=f'multiples of {self.step} from {self.least} on, for a dynamic file of this network',
            )

    def others(self, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Two other shapes of other proportions: smaller and larger, or both larger where none is smaller."""
        height, width = shape
        smaller = (max(self.least, height - self.step), max(self.least, width - self.step))
        larger = (height + self.step, width + 2 * self.step)
        return (height + 2 * self.step, width) if smaller == shape else smaller, larger


class _AsTuple(nn.Module):
    """Outputs in a tuple, as the tracer has them."""

    def __init__(self, named: nn.Module) -> None:
        super().__init__()
        self.named = named

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(images).values())


def _write_onnx(
    named: nn.Module, path: Path, *, images: Tensor, outputs: Mapping[str, Tensor], sides: Sides | None
) -> None:
    # The tracer, not torch.export: it keeps sizes dynamic in operators that older runtimes read too.
    torch.onnx.export(
        _AsTuple(named),
        (images,),
        str(path),
        input_names=[INPUT],
        output_names=list(outputs),
        opset_version=_OPSET,
        dynamic_axes=_dynamic_axes(named, {INPUT: images, **outputs}, sides),
        dynamo=False,
    )


def _dynamic_axes(
    named: nn.Module, tensors: Mapping[str, Tensor], sides: Sides | None
) -> dict[str, dict[int, str]]:
    axes: dict[str, dict[int, str]] = {name: {} for name in tensors}
    for name, x in tensors.items():
        if isinstance(named, WholeDetector) and name != INPUT:
            axes[name][0] = 'detections'
        elif sides is not None:
            axes[name] |= {} if isinstance(named, WholeDetector) else {0: 'batch'}
            axes[name] |= {2: f'{name}_height', 3: f'{name}_width'} if x.ndim == 4 else {}
    return axes


def _open_onnx(path: Path) -> Exported:
    runtime: Any = import_module('onnxruntime')
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [node.name for node in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        outputs = session.run(names, {INPUT: images.numpy()})
        return dict(zip(names, map(torch.from_numpy, outputs), strict=True))

    return run


def _write_program(
    named: nn.Module, path: Path, *, images: Tensor, outputs: Mapping[str, Tensor], sides: Sides | None
) -> None:
    shapes = None
    if sides is not None:
        least, largest = sides.least // sides.step, _LARGEST_SIDE // sides.step
        height, width = (
            sides.step * torch.export.Dim(name, min=least, max=largest)
            for name in ('height_steps', 'width_steps')
        )
        shapes = {INPUT: {0: torch.export.Dim('batch', min=1, max=_LARGEST_BATCH), 2: height, 3: width}}
    torch.export.save(torch.export.export(named, (images,), dynamic_shapes=shapes, strict=False), path)


def _open_program(path: Path) -> Exported:
    run: Exported = torch.export.load(path).module()
    return run


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        packages: What must be installed, beside torch.
        write: Writes a model's inference form, recorded on ``images``, for ``sides`` or for this size alone.
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
