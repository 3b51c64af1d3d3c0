"""Images as a config's own pipeline reads them, and what people are shown of those."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from ..config.codebases import require_scope
from ..config.errors import ConfigError, one_line, refused
from ..config.files import is_remote
from ..config.paths import iter_datasets, type_name
from .findings import Finding
from .images import check_file

Pixels = npt.NDArray[Any]  # (H, W) or (H, W, C), any type

#: What a step that reads three channels of 8 bits makes of other images: the kinds of ``findings.KINDS``.
_CONVERSIONS = ('16-bit image', 'grey image', 'CMYK image', 'image with a palette', 'image with transparency')

_PERCENTILES = (2, 98)  # from black to white where an image is not of 8 bits
#: Files of these kinds are decoded by the pipeline's loader alone: OpenCV and PIL may not know them.
_UNREADABLE = 'unreadable image'
_UNSAID = ('type', '_scope_', 'backend_args')


class UnreadableImage(ValueError):
    """An image file that the pipeline cannot read; the text says why, without the file's name."""


class ImageLoader:
    """The step of a pipeline that reads image files: mmcv's, a package's or one of the user's own.

    Args:
        pipeline: The steps of a data set, as configs. Where none loads an image, as of data sets that hold
            their images themselves, files are read as RGB, by mmcv's ``LoadImageFromFile``.
        scope: MMEngine scope of the steps; None for those of mmcv alone.
        key: The pipeline's config key, for messages.

    Attributes:
        step: The config of the step.
        is_given: Whether it is the pipeline's own.
        is_bgr: Whether three channels come blue first: of all that mmcv decodes, except by tifffile.

    Raises:
        ConfigError: if the step cannot be built, or needs a decoder that is not installed.
    """

    def __init__(
        self,
        pipeline: Sequence[Mapping[str, Any]] = (),
        *,
        scope: str | None = None,
        key: str = 'test_dataloader.dataset.pipeline',
    ) -> None:
        given = next((step for step in pipeline if loads_images(step)), None)
        self.is_given = given is not None
        self.step = dict(given or {'type': 'LoadImageFromFile'})
        if scope:
            import_module(f'{scope}.datasets')  # has the transforms
        built = refused(key, self.step, expected='a step that can be built')
        with DefaultScope.overwrite_default_scope(scope), built:
            self._load = TRANSFORMS.build(dict(self.step))
        backend = getattr(self._load, 'imdecode_backend', None)
        self.is_bgr = self.is_given and backend not in (None, 'tifffile')
        if backend == 'tifffile' and find_spec(backend) is None:  # mmcv fails at the first image
            raise ConfigError(
                key=key, value=self.step, expected='an installed tifffile: pip install tifffile'
            )

    @classmethod
    def of(cls, cfg: Config) -> ImageLoader:
        """That of a config's test data, or else of its validation data."""
        found = iter_datasets(cfg, stages=('test', 'val'))
        pipelines = [list(data['pipeline']) for _, data in found if data.get('pipeline')]
        return cls(pipelines[0] if pipelines else [], scope=require_scope(cfg))

    def load(self, image: str | Path | Pixels, *, key: str = 'images') -> dict[str, Any]:
        """What the pipeline's next step gets: ``img``, ``img_shape`` and whatever else this step adds.

        Args:
            image: A file, RGB ``(H, W, 3)`` in uint8, or other pixels as ``read`` gives them.
            key: The argument that named it, for messages.

        Raises:
            ConfigError: if the file cannot be read.
        """
        if not isinstance(image, (str, Path)):
            is_rgb = image.ndim == 3 and image.shape[-1] == 3 and image.dtype == np.uint8
            pixels = self.of_rgb(image) if is_rgb else image.copy()  # steps may write into it
            shape = pixels.shape[:2]
            return {'img': pixels, 'img_path': '', 'img_id': 0, 'img_shape': shape, 'ori_shape': shape}
        try:
            return self._loaded(image)
        except UnreadableImage as error:
            raise ConfigError(
                key=key, value=str(image), expected=f'an image that can be read ({error})'
            ) from error

    def read(self, path: str | Path) -> Pixels:
        """An image file as the network's pipeline gets it.

        Args:
            path: A local file or, where the step reads such, an address.

        Returns:
            ``(H, W)`` or ``(H, W, C)`` of the type and order of channels that the step gives.

        Raises:
            UnreadableImage: if it is missing, larger than ``pixel_limit`` allows, cut off or of a kind that
                the step does not read.
        """
        return np.asarray(self._loaded(path)['img'])

    def _loaded(self, path: str | Path) -> dict[str, Any]:
        if not is_remote(str(path)):
            for fault in check_file(str(path)):
                if fault.kind != _UNREADABLE or not Path(path).stat().st_size:
                    raise UnreadableImage(f'{fault.kind}: {fault.reason}')
        try:
            loaded = self._load({'img_path': str(path), 'img_id': 0})
        except AssertionError as error:  # of mmcv, where the decoder says nothing
            raise UnreadableImage(f'not an image that {self} reads') from error
        except (OSError, ValueError, cv2.error) as error:
            raise UnreadableImage(f'not an image that {self} reads ({one_line(error)})') from error
        if not self.is_given:
            loaded['img'] = loaded['img'][..., ::-1]
        return dict(loaded)

    def own_size(self, path: str) -> tuple[int, int] | None:
        """Width and height as the step gives them; None of unreadable files, and where PIL tells them too."""
        if converts(self._load):
            return None
        try:
            height, width = self.read(path).shape[:2]
        except UnreadableImage:
            return None
        return width, height

    def judge(self, path: str, faults: Iterable[Finding]) -> Iterator[Finding]:
        """Of what PIL finds in a file, what is so for this step: it may read more, and convert nothing."""
        for fault in faults:
            if fault.kind in _CONVERSIONS and not converts(self._load):
                continue
            if fault.kind == _UNREADABLE and os.path.isfile(path) and os.path.getsize(path):
                try:
                    self._loaded(path)
                    continue
                except UnreadableImage as error:
                    fault = fault._replace(reason=str(error))
            yield fault

    def of_rgb(self, image: npt.NDArray[np.uint8]) -> Pixels:
        """RGB ``(H, W, 3)``, as of a video's frame, in the form in which ``read`` would give it."""
        if str(getattr(self._load, 'color_type', '')).startswith('grayscale'):
            pixels: Pixels = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        else:
            pixels = np.array(
                image[..., ::-1] if self.is_bgr else image, order='C'
            )  # steps may write into it
        return pixels.astype(np.float32) if getattr(self._load, 'to_float32', False) else pixels

    def visible(self, pixels: Pixels) -> npt.NDArray[np.uint8]:
        """Pixels from ``read`` as RGB ``(H, W, 3)``, for drawing only.

        The first three channels are shown, or one as grey. Values of 8 bits stay as they are; others are
        stretched, all channels alike, from the 2nd to the 98th percentile of what is finite.
        """
        image = pixels[..., None] if pixels.ndim == 2 else pixels
        image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1].repeat(3, axis=-1)
        image = _eight_bits(image)
        is_bgr = self.is_bgr and pixels.ndim == 3
        return np.ascontiguousarray(image[..., ::-1] if is_bgr else image)

    def __str__(self) -> str:
        options = [f'{key}={value!r}' for key, value in self.step.items() if key not in _UNSAID]
        return type_name(self.step['type']) + (f'({", ".join(options)})' if options else '')


def converts(step: Any) -> bool:
    """Whether a built step makes three channels of 8 bits of every image."""
    is_colour = getattr(step, 'color_type', 'color') == 'color'
    return is_colour and getattr(step, 'imdecode_backend', None) != 'tifffile'


def loads_images(step: Any) -> bool:
    """Whether a step of a pipeline, as its config, reads images."""
    name = type_name(step.get('type'))
    return name.startswith('Load') and 'Annotation' not in name


def _eight_bits(image: Pixels) -> npt.NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    finite = image[np.isfinite(image)]
    is_float = np.issubdtype(image.dtype, np.floating)
    if is_float and finite.size and finite.min() >= 0 and finite.max() <= 255 and not (finite % 1).any():
        low, high = 0.0, 255.0  # 8 bits, by to_float32
    else:
        low, high = np.percentile(finite, _PERCENTILES) if finite.size else (0.0, 1.0)
    spread = max(float(high) - float(low), float(np.finfo(np.float32).tiny))
    scaled = (np.nan_to_num(image.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / spread
    return np.asarray(np.clip(scaled * 255, 0, 255).round(), np.uint8)
