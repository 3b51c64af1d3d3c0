"""What a network expects of its images, read off its config's data preprocessor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from torch import Tensor

#: How the packages spell that images, which they read as BGR, are turned to RGB.
_RGB_KEYS = ('bgr_to_rgb', 'to_rgb')


@dataclass(frozen=True)
class ImageFormat:
    """How pixels become a network's inputs: ``(pixel - mean) / std`` per channel.

    Attributes:
        mean: of pixels from 0 to 255, in the network's order of channels.
        std: the same.
        rgb: whether that order is RGB, BGR otherwise.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    rgb: bool

    @classmethod
    def of(cls, cfg: Config) -> ImageFormat:
        """The format of a config of any of the four packages; without a mean, pixels stay as they are."""
        found: Any = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
        mean, std = found.get('mean') or (0.0,), found.get('std') or (1.0,)
        return cls(tuple(mean), tuple(std), any(found.get(key, False) for key in _RGB_KEYS))

    def inputs(self, image: npt.NDArray[np.uint8]) -> Tensor:
        """RGB pixels ``(H, W, 3)`` -> inputs ``(1, 3, H, W)``, float32."""
        ordered = image if self.rgb else image[..., ::-1]
        mean, std = (np.array(values, np.float32) for values in (self.mean, self.std))
        normalised = (ordered.astype(np.float32) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1)))[None]

    def __str__(self) -> str:
        mean, std = (', '.join(f'{value:g}' for value in values) for values in (self.mean, self.std))
        return f'{"RGB" if self.rgb else "BGR"}, (pixel - mean) / std with mean ({mean}) and std ({std})'
