"""TIFFs that PIL does not open, or opens as floats: several bands, any depth. mmcv reads them by tifffile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from ..config.errors import ConfigError, one_line
from ..data.images import read_header
from .recipes import Notes, Values

_TASKS: Final = ('seg', 'det')
#: More channels than this are rather rows: the bands of a file come last, after rows and columns.
_MOST = 32
_LOADING: Final = dict(imdecode_backend='tifffile', color_type='unchanged', to_float32=True)


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Images that tifffile reads.

    Attributes:
        sizes: Width and height of each, in pixels.
        mean: Of each band's finite pixels.
        std: The same.
    """

    sizes: list[tuple[int, int]]
    mean: list[float]
    std: list[float]


def needs_tifffile(path: Path) -> bool:
    """Whether an image is a TIFF that a usual loader does not read as it is."""
    if path.suffix.lower() not in ('.tif', '.tiff'):
        return False
    try:
        return read_header(path).mode == 'F'
    except (OSError, ValueError):
        return True


def measure(paths: Sequence[Path], *, task: str) -> Bands:
    """Read all of some TIFFs.

    Raises:
        ConfigError: the task's pipelines take no such images, tifffile is missing, or a file is not (H, W)
            or (H, W, C) with as many bands as the others.
    """
    if task not in _TASKS:
        raise ConfigError(
            'image', str(paths[0]), expected=f'8 bits; bands are read for {" and ".join(_TASKS)}'
        )
    if find_spec('tifffile') is None:
        raise ConfigError('image', str(paths[0]), expected='an installed tifffile: pip install tifffile')
    import tifffile

    sizes: list[tuple[int, int]] = []
    means: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    for path in paths:
        try:
            pixels = np.atleast_3d(tifffile.imread(path)).astype(np.float64)
        except (OSError, ValueError) as error:
            expected = f'a TIFF that tifffile can read ({one_line(error)})'
            raise ConfigError('image', str(path), expected=expected) from error
        bands = len(means[0]) if means else pixels.shape[-1]
        if pixels.ndim != 3 or pixels.shape[-1] > _MOST or pixels.shape[-1] != bands:
            expected = f'(height, width, bands), at most {_MOST} and as many bands as the others have'
            raise ConfigError('image', f'{path} {pixels.shape}', expected=expected)
        sizes.append((pixels.shape[1], pixels.shape[0]))
        finite = np.where(np.isfinite(pixels), pixels, np.nan)
        means.append(np.nanmean(finite, axis=(0, 1)))
        squares.append(np.nanmean(finite**2, axis=(0, 1)))
    mean = np.mean(means, axis=0)
    std = np.sqrt(np.maximum(np.mean(squares, axis=0) - mean**2, 0))
    std = np.where(std > 0, std, 1.0)
    return Bands(sizes=sizes, mean=_rounded(mean), std=_rounded(std))


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f'{value:.5g}') for value in values]


def read_bands(values: Values, bands: Bands) -> Notes:
    """Make a config's pipelines and model, in place, those of such images."""
    for name in ('train_pipeline', 'test_pipeline'):
        values[name] = [
            {**step, **_LOADING} if step['type'] == 'LoadImageFromFile' else step for step in values[name]
        ]
    model = values['model']
    own = dict(mean=bands.mean, std=bands.std, bgr_to_rgb=False)
    model['data_preprocessor'] = {**model.get('data_preprocessor', {}), **own}
    model['backbone'] = {**model.get('backbone', {}), 'in_channels': len(bands.mean)}
    return [
        ('bands', f'{len(bands.mean)}, read by tifffile, normalised by the mean and deviation of a sample')
    ]
