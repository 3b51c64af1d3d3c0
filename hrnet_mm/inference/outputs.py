"""Where pictures go: image files, or one video, below ``pictures/``; label maps below ``labels/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..config.errors import ConfigError
from ..config.files import require_folder
from ..pictures.canvas import Image, picture_name, write_image
from ..pictures.metadata import Metadata
from ..pictures.painter import Layer, paint
from ..pictures.predictions import Labels, Prediction
from .sources import Images, InputImage, Video

PICTURES, LABELS = 'pictures', 'labels'
_CODEC = 'mp4v'  # the one that every build of OpenCV brings


def own_folders(out_dir: str | Path) -> tuple[Path, Path]:
    """The folders below ``out_dir`` that pictures and label maps go to."""
    return Path(out_dir) / PICTURES, Path(out_dir) / LABELS


def require_output(out_dir: str | Path, *, source: Images | Video) -> Path:
    """A folder that can be written to without touching what is read; it is made where it is missing.

    Raises:
        ConfigError: if it cannot be made, or its pictures would lie among the images that are read.
    """
    folder, root = Path(out_dir).resolve(), source.root.resolve()
    many = len(source.names) > 1
    inside = any(target in (root, *root.parents) for target in own_folders(folder))
    if inside or (many and folder == root):
        raise ConfigError(
            key='--out-dir', value=str(out_dir), expected='another folder than that of the images themselves'
        )
    return require_folder(out_dir, key='--out-dir')


class OutputFiles:
    """Draws and writes what networks predict.

    Args:
        folder: From ``require_output``; None to write nothing.
        source: What is read: pictures of a video make one video.
    """

    def __init__(self, folder: Path | None, *, source: Images | Video) -> None:
        self._folder = folder
        self._video = source if isinstance(source, Video) else None
        self._writer: Any = None
        self._size = (0, 0)  # of the video

    def write(
        self,
        image: InputImage,
        predictions: Mapping[str, Prediction],
        metadata: Mapping[str, Metadata],
        *,
        least_score: float,
        layout: str,
    ) -> dict[str, Path | None]:
        """Write the picture of an image, see ``paint``, and its label map where there is one.

        A label map is a PNG of class numbers, 8 bits a pixel, or 16 where there are more than 256 classes.

        Returns:
            The files ``picture`` and ``labels``, None where nothing is written.
        """
        if self._folder is None:
            return {'picture': None, 'labels': None}
        layers = [Layer(task, each, metadata[task]) for task, each in predictions.items()]
        is_frame = self._video is not None
        picture = paint(
            image.pixels,
            layers,
            least_score=least_score,
            layout=layout if len(layers) > 1 else 'overlay',
            enlarge_small=not is_frame,  # a video keeps its size
        )
        path = self._folder / PICTURES / picture_name(image.name)
        labels_path = self._folder / LABELS / f'{image.name}.png'
        if is_frame:
            video = Path(image.name.rpartition('#')[0])
            path = self._folder / PICTURES / f'{video.stem}.mp4'
            labels_path = self._folder / LABELS / video / f'{image.frame:06d}.png'
            self._write_frame(path, picture)
        else:
            write_image(path, picture)
        labels = next((each.labels for each in predictions.values() if isinstance(each, Labels)), None)
        if labels is not None:
            write_image(labels_path, labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16))
        return {'picture': path, 'labels': None if labels is None else labels_path}

    def close(self) -> None:
        """Finish the video."""
        if self._writer is not None:
            self._writer.release()

    def _write_frame(self, path: Path, picture: Image) -> None:
        height, width = picture.shape[:2]
        if self._writer is None:
            assert self._video is not None
            self._size = (width + width % 2, height + height % 2)  # codecs want even numbers
            path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*_CODEC)
            self._writer = cv2.VideoWriter(str(path), codec, self._video.rate, self._size)
            if not self._writer.isOpened():
                raise ConfigError(
                    key='--out-dir', value=str(path), expected=f'an OpenCV that writes {_CODEC} videos'
                )
        right, below = self._size[0] - width, self._size[1] - height
        bgr = np.ascontiguousarray(picture[..., ::-1])
        self._writer.write(cv2.copyMakeBorder(bgr, 0, below, 0, right, cv2.BORDER_REPLICATE))
