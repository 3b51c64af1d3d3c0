"""Where pictures go: image files, or one video, below ``pictures/``; label maps below ``labels/``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from ..config.errors import ConfigError
from ..config.files import require_folder
from ..pictures.predictions import Labels
from .sources import Image, Picture, Source, Video, picture_name

PICTURES, LABELS = 'pictures', 'labels'
_CODEC = 'mp4v'  # the one that every build of OpenCV brings


def own_folders(out_dir: str | Path) -> tuple[Path, Path]:
    """The folders below ``out_dir`` that pictures and label maps go to."""
    return Path(out_dir) / PICTURES, Path(out_dir) / LABELS


def require_output(out_dir: str | Path, *, source: Source) -> Path:
    """A folder that can be written to without touching what is read.

    Args:
        out_dir: The folder; it is made where it is missing.
        source: What is read.

    Raises:
        ConfigError: if it cannot be made, or its pictures would lie among those that are read.
    """
    folder, root = Path(out_dir).resolve(), source.root.resolve()
    many = len(source.names) > 1
    inside = any(target in (root, *root.parents) for target in own_folders(folder))
    if inside or (many and folder == root):
        raise ConfigError(
            key='--out-dir', value=str(out_dir), expected='another folder than that of the images themselves'
        )
    return require_folder(out_dir, key='--out-dir')


class Output:
    """Writes what was drawn.

    Args:
        folder: From ``require_output``; None to write nothing.
        source: What is read.
    """

    def __init__(self, folder: Path | None, *, source: Source) -> None:
        self._folder = folder
        self._video = _VideoFile(folder, source) if folder is not None and isinstance(source, Video) else None

    @property
    def is_wanted(self) -> bool:
        """Whether there is a folder to write to."""
        return self._folder is not None

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video is not None:
            self._video.close()

    def write_picture(self, picture: Picture, drawn: Image) -> Path | None:
        """Write what was drawn, RGB; gives the file."""
        if self._folder is None:
            return None
        if self._video is not None:
            return self._video.write(drawn)
        path = self._folder / PICTURES / picture_name(picture.name)
        _write_image(path, drawn[..., ::-1])
        return path

    def write_labels(self, picture: Picture, found: Labels) -> Path | None:
        """Write a PNG of class numbers, 8 bits a pixel, or 16 where there are more than 256 classes."""
        if self._folder is None:
            return None
        name = picture.name if picture.frame is None else _frame_name(picture)
        path = self._folder / LABELS / f'{name}.png'
        _write_image(path, found.labels.astype(np.uint8 if found.labels.max(initial=0) < 256 else np.uint16))
        return path


class _VideoFile:
    """An mp4 file, opened when its first frame says how large it is."""

    def __init__(self, folder: Path, source: Video) -> None:
        self._path = folder / PICTURES / f'{Path(source.names[0]).stem}.mp4'
        self._rate = source.rate
        self._writer: Any = None
        self._size = (0, 0)

    def write(self, drawn: Image) -> Path:
        height, width = drawn.shape[:2]
        if self._writer is None:
            self._size = (width + width % 2, height + height % 2)  # codecs want even numbers
            self._path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*_CODEC)
            self._writer = cv2.VideoWriter(str(self._path), codec, self._rate, self._size)
            if not self._writer.isOpened():
                raise ConfigError(
                    key='--out-dir', value=str(self._path), expected=f'an OpenCV that writes {_CODEC} videos'
                )
        right, below = self._size[0] - width, self._size[1] - height
        frame = cv2.copyMakeBorder(drawn[..., ::-1].copy(), 0, below, 0, right, cv2.BORDER_REPLICATE)
        self._writer.write(frame)
        return self._path

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


def _frame_name(picture: Picture) -> str:
    """``clip.mp4/000012``: a folder for each video."""
    return f'{picture.name.rpartition("#")[0]}/{picture.frame:06d}'


def _write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written, data = cv2.imencode(path.suffix.lower(), image)
    if not written:
        raise OSError(f'OpenCV cannot encode {path}')
    path.write_bytes(data.tobytes())
