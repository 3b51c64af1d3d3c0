"""Which heights and widths a dynamic file takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.config import Config

from ..analysis.running import build_on_meta
from ..config.errors import ConfigError, one_line
from .outputs import NamedOutputs

#: The backbone's coarsest stride: at multiples of it no stream is ever cropped, which would be recorded.
BACKBONE_STRIDE = 32
_PROBE = 2048  # pixels a side, without numbers


@dataclass(frozen=True)
class Sides:
    """Heights and widths: multiples of ``step`` pixels from ``least`` on."""

    step: int
    least: int

    @classmethod
    def of(cls, cfg: Config, *, whole_maps: bool) -> Sides:
        """What a config's model takes once it is recorded.

        Every map must have two pixels a side: torch records a single one as a constant.

        Args:
            cfg: a config, whose model is run on shapes alone.
            whole_maps: whether a side must also be a whole number of the coarsest map's pixels.

        Raises:
            ConfigError: if the model can't be run so.
        """
        model = build_on_meta(cfg)
        try:
            with torch.no_grad():
                outputs = NamedOutputs(model)(torch.empty(1, 3, _PROBE, _PROBE, device='meta'))
        except Exception as error:  # anything a model may raise
            raise ConfigError(
                key='--dynamic',
                value=type(model).__name__,
                expected=f'a model that can be run on shapes alone ({one_line(error)})',
            ) from error
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
