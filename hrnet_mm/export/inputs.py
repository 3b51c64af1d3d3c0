"""What an exported file takes: images of one or several sizes and normalisations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config

from ..analysis.shapes import task_shapes
from ..config.build import ImageFormat, build_model, image_channels
from ..config.errors import ConfigError, refused
from ..config.joint import task_configs
from ..config.paths import type_name
from .outputs import NamedOutputs

#: The backbone's coarsest stride: at multiples of it no stream is ever cropped, which would be recorded.
BACKBONE_STRIDE = 32
_PROBE = 2048  # pixels a side, without numbers


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


@dataclass(frozen=True)
class Input:
    """Images for all tasks that take them at one size, normalised alike: one pass of the backbone.

    Attributes:
        name: ``'images'``; of several inputs, behind the tasks: ``'segmentation+detection/images'``.
        tasks: Their names; of a model of one task, ``''``.
        shape: Height and width in pixels that the file is recorded at.
        format: How pixels are normalised.
        sides: Which other sizes it takes, ``None`` for none.
    """

    name: str
    tasks: tuple[str, ...]
    shape: tuple[int, int]
    format: ImageFormat
    sides: Sides | None

    @classmethod
    def of(
        cls, cfg: Config, shape: tuple[int, int] | None, *, dynamic: bool, whole_maps: bool
    ) -> list[Input]:
        """The inputs of a config's file.

        Args:
            cfg: A config, of one task or several.
            shape: Height and width, see :func:`task_shapes`. Top-down pose has an input to itself.
            dynamic: Whether it takes other sizes.
            whole_maps: As for :meth:`Sides.of`.

        Raises:
            ConfigError: a size is not known, or cannot be taken.
        """
        views, shapes = task_configs(cfg), task_shapes(cfg, shape)
        groups: dict[Any, list[str]] = {}
        for task, view in views.items():
            crops = task if type_name(view.model.get('type')) == 'TopdownPoseEstimator' else ''
            groups.setdefault((shapes[task], ImageFormat.of(view), crops), []).append(task)
        inputs = []
        for (size, image_format, _), tasks in groups.items():
            sides = None
            if dynamic:
                found = [Sides.of(views[task], whole_maps=whole_maps) for task in tasks]
                sides = Sides(max(each.step for each in found), max(each.least for each in found))
                sides.require(size)
            name = 'images' if len(groups) == 1 else f'{"+".join(tasks)}/images'
            inputs.append(cls(name, tuple(tasks), size, image_format, sides))
        return inputs

    def makes(self, output: str) -> bool:
        """Whether an output of the file is of these images."""
        return output.rpartition('/')[0] in self.tasks

    def rows(self, case: object) -> Iterator[tuple[str, str]]:
        """Lines of a table."""
        yield self.name, str(case)
        yield 'other sizes', 'none' if self.sides is None else str(self.sides)
        yield 'normalised', str(self.format)
