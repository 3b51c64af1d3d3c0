"""Truth and prediction side by side, drawn by the codebase's own visualizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.fileio import get
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import BaseVisBackend

from ..config.errors import ConfigError
from ..data.images import too_large

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Drawing:
    """How one codebase draws.

    Attributes:
        visualizer: Dotted path of its visualizer class.
        truth: Fields of a data sample that hold the truth.
        prediction: Fields of a data sample that hold the prediction.
        method: The visualizer's method that draws one data sample.
        arguments: Further arguments of that method.
        options: Arguments of the visualizer's constructor.
        set_meta: The visualizer's method that takes class names and colours, where there is one.
        merge: Dotted path of the function that makes one data sample of all those of an image.
            None where an image has just one.
        min_edge: Smaller images are enlarged to this short edge, in pixels, so that text fits.
    """

    visualizer: str
    truth: tuple[str, ...]
    prediction: tuple[str, ...]
    method: str = 'add_datasample'
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    set_meta: str | None = None
    merge: str | None = None
    min_edge: int = 0


#: Scope -> how to draw. Boxes and keypoints below a score of 0.3 are left out.
DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        'mmpose': Drawing(
            'mmpose.visualization.PoseLocalVisualizer',
            truth=('gt_instances',),
            prediction=('pred_instances',),
            arguments=MappingProxyType({'draw_bbox': True, 'kpt_thr': 0.3}),
            # The default, OpenCV, takes int() of an array of one radius: an error since numpy 2.4.
            options=MappingProxyType({'backend': 'matplotlib'}),
            set_meta='set_dataset_meta',
            merge='mmpose.structures.merge_data_samples',
        ),
        'mmseg': Drawing(
            'mmseg.visualization.SegLocalVisualizer',
            truth=('gt_sem_seg',),
            prediction=('pred_sem_seg',),
            arguments=MappingProxyType({'with_labels': False}),
        ),
        'mmdet': Drawing(
            'mmdet.visualization.DetLocalVisualizer',
            truth=('gt_instances', 'gt_sem_seg', 'gt_panoptic_seg'),
            prediction=('pred_instances', 'pred_sem_seg', 'pred_panoptic_seg'),
            arguments=MappingProxyType({'pred_score_thr': 0.3}),
        ),
        'mmpretrain': Drawing(
            'mmpretrain.visualization.UniversalVisualizer',
            truth=('gt_label',),
            prediction=('pred_label', 'pred_score'),
            method='visualize_cls',
            min_edge=224,
        ),
    }
)


class PairPainter:
    """Draws data samples of one scope.

    Args:
        scope: A key of ``DRAWINGS``.
        dataset_meta: The data set's ``metainfo``: class names, colours, skeleton.

    Raises:
        ConfigError: if the scope is unknown.
    """

    def __init__(self, *, scope: str, dataset_meta: Mapping[str, Any] | None) -> None:
        if scope not in DRAWINGS:
            raise ConfigError(key='scope', value=scope, expected=f'one of {", ".join(DRAWINGS)}')
        self._drawing = DRAWINGS[scope]
        self._canvas = _Canvas()
        self._visualizer: Visualizer = _steady(_load(self._drawing.visualizer))(
            vis_backends=[self._canvas], **self._drawing.options
        )
        if self._drawing.set_meta:
            getattr(self._visualizer, self._drawing.set_meta)(dataset_meta)
        else:
            self._visualizer.dataset_meta = dataset_meta

    @property
    def merges(self) -> bool:
        """Whether an image can have several data samples, which belong in one picture."""
        return self._drawing.merge is not None

    def lighten(self, sample: BaseDataElement) -> BaseDataElement:
        """A copy of a data sample, on the CPU, with nothing but what is drawn."""
        keep = (*self._drawing.truth, *self._drawing.prediction)
        return sample.new(**{name: sample.get(name) for name in keep if name in sample}).cpu()

    def merge(self, samples: Sequence[BaseDataElement]) -> BaseDataElement:
        """One data sample with the instances of all those of an image, as ``lighten`` left them."""
        if self._drawing.merge is None:
            return samples[0]
        merged: BaseDataElement = _load(self._drawing.merge)(list(samples))
        return merged

    def draw(self, image: Image, sample: BaseDataElement) -> Image:
        """Draw one image twice.

        Args:
            image: RGB, ``(H, W, 3)``, in the resolution that the sample's coordinates refer to.
            sample: A data sample with truth and prediction; either may be missing.

        Returns:
            RGB, ``(H, 2W, 3)``: truth on the left, prediction on the right. Small images of a
            scope with ``min_edge`` come out enlarged.
        """
        image = _enlarge(image, self._drawing.min_edge)
        truth = self._panel(image, sample, self._drawing.truth, is_truth=True)
        prediction = self._panel(image, sample, self._drawing.prediction, is_truth=False)
        return np.concatenate([truth, prediction], axis=1)

    def _panel(
        self, image: Image, sample: BaseDataElement, fields: Sequence[str], *, is_truth: bool
    ) -> Image:
        if not any(name in sample for name in fields):
            return image
        getattr(self._visualizer, self._drawing.method)(
            name='panel',
            image=image,
            data_sample=sample,
            draw_gt=is_truth,
            draw_pred=not is_truth,
            **self._drawing.arguments,
        )
        return _fit(self._canvas.take(), like=image)


def read_image(path: str) -> Image:
    """Read an image file, local or remote, as RGB ``(H, W, 3)``.

    Raises:
        ConfigError: if it is not an image, or too large to be decoded.
    """
    data = get(path)
    if (why := too_large(data)) is not None:
        raise ConfigError(key='img_path', value=path, expected=f'an image of a size that is decoded ({why})')
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ConfigError(key='img_path', value=path, expected='an image file')
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def write_image(path: Path, image: Image) -> None:
    """Write an RGB image in the format of the file's suffix, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


class _Canvas(BaseVisBackend):
    """A backend that keeps the picture that a visualizer would have stored."""

    def __init__(self) -> None:
        super().__init__(save_dir='')
        self._image: Image | None = None

    @property
    def experiment(self) -> _Canvas:
        return self

    def _init_env(self) -> None:
        """Nothing to set up."""

    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        self._image = image

    def take(self) -> Image:
        """The picture drawn last.

        Raises:
            RuntimeError: if there is none: visualizers draw in the main process alone.
        """
        image, self._image = self._image, None
        if image is None:
            raise RuntimeError('nothing was drawn; draw in the main process')
        return image


def _steady(visualizer: Any) -> Any:
    """The class with a fixed view: newer matplotlib zooms out for a shape that reaches beyond the image."""

    class Steady(visualizer):
        def set_image(self, image: Image) -> None:
            super().set_image(image)
            self.ax_save.autoscale(False)

    return Steady


def _load(dotted: str) -> Any:
    module, _, name = dotted.rpartition('.')
    return getattr(import_module(module), name)


def _enlarge(image: Image, min_edge: int) -> Image:
    scale = min_edge / min(image.shape[:2])
    if scale <= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST), np.uint8)


def _fit(panel: Image, *, like: Image) -> Image:
    height, width = like.shape[:2]
    if panel.shape[:2] == (height, width):
        return panel
    return np.asarray(cv2.resize(panel, (width, height)), np.uint8)
