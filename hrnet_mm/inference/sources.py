"""Where pictures come from: one image, a folder of them, or a video."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import numpy.typing as npt

from ..config.errors import ConfigError, one_line
from ..data.images import too_large

Image = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
_USUAL_RATE = 25.0  # frames per second, where a video does not say


@dataclass(frozen=True)
class Picture:
    """One image, or one frame of a video.

    Attributes:
        name: The image's path below the source's folder, with forward slashes; ``clip.mp4#12`` for a frame.
        image: RGB, ``(H, W, 3)``.
        frame: The frame's number, from 0; None for an image.
        seconds: When the frame is shown; None for an image.
    """

    name: str
    image: Image
    frame: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image file that could not be read, and why."""

    name: str
    why: str


class Images:
    """Image files.

    Args:
        root: The folder that names are relative to.
        names: Paths below ``root``, with forward slashes.
    """

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        self.root = root
        self.names = tuple(names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Picture | Unreadable]:
        for name in self.names:
            image = read_image(self.root / name)
            yield Unreadable(name, image) if isinstance(image, str) else Picture(name, image)


class Video:
    """The frames of a video file.

    Raises:
        ConfigError: if OpenCV finds no frame in it.
    """

    def __init__(self, path: Path) -> None:
        self.root = path.parent
        self.names = (path.name,)
        self._path = path
        capture = cv2.VideoCapture(str(path))
        try:
            readable = capture.isOpened() and capture.read()[0]
            rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            capture.release()
        if not readable:
            raise ConfigError(key='SOURCE', value=str(path), expected='a video that OpenCV reads')
        self.rate = rate if math.isfinite(rate) and rate > 0 else _USUAL_RATE
        self._length = max(int(count), 0) if math.isfinite(count) else 0

    def __len__(self) -> int:
        """The number of frames as the file's header has it, which is often a guess; 0 if it says nothing."""
        return self._length

    def __iter__(self) -> Iterator[Picture | Unreadable]:
        capture = cv2.VideoCapture(str(self._path))
        number = 0
        try:
            while True:
                found, image = capture.read()
                if not found:
                    return
                seconds = number / self.rate
                yield Picture(f'{self._path.name}#{number}', _as_rgb(image), number, seconds)
                number += 1
        finally:
            capture.release()


Source = Images | Video


def find_source(path: str | Path, *, leave_out: Sequence[Path] = ()) -> Source:
    """The pictures that a path stands for.

    Folders are searched with all their sub-folders, in alphabetical order of the paths; files that are no
    images by their suffix, and hidden files and folders, are passed over.

    Args:
        path: An image, a folder or a video.
        leave_out: Folders that are not searched.

    Raises:
        ConfigError: there is nothing there, nothing to read in it, or the one image cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        return _folder(place, leave_out={folder.resolve() for folder in leave_out})
    if not place.is_file():
        raise ConfigError(
            key='SOURCE',
            value=str(path),
            expected=f'an image, a folder or a video, looked for {place.absolute()}',
        )
    if place.suffix.lower() in VIDEO_SUFFIXES:
        return Video(place)
    image = read_image(place)
    if isinstance(image, str):
        raise ConfigError(key='SOURCE', value=str(path), expected=f'an image that can be read ({image})')
    return Images(place.parent, [place.name])


def _folder(root: Path, *, leave_out: set[Path]) -> Images:
    names = []
    for folder, inner, files in os.walk(root):
        inner[:] = [
            name
            for name in inner
            if not name.startswith('.') and Path(folder, name).resolve() not in leave_out
        ]
        relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names += [
            str(relative / name)
            for name in files
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith('.')
        ]
    if not names:
        raise ConfigError(
            key='SOURCE',
            value=str(root),
            expected=f'a folder with images ({", ".join(IMAGE_SUFFIXES)}) in it or its sub-folders',
        )
    return Images(root, sorted(names))


def read_image(path: Path) -> Image | str:
    """An image file as RGB ``(H, W, 3)``, turned as its EXIF record says, or why that failed."""
    try:
        content = path.read_bytes()
        if (why := too_large(content)) is not None:
            return why
        data = np.frombuffer(content, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error) as error:
        return one_line(error)
    if image is None:
        return 'not an image' if data.size else 'an empty file'
    return _as_rgb(image)


def _as_rgb(image: npt.NDArray[np.generic]) -> Image:
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def picture_name(name: str) -> str:
    """The name of an image's picture: its own if that ends in a format we write, or else with ``.png`` added.

    No two names become one, not even ``a.bmp`` and ``a.bmp.png``.
    """
    path = PurePosixPath(name)
    is_written = path.suffix.lower() in ('.jpg', '.jpeg', '.png')
    has_two = PurePosixPath(path.stem).suffix.lower() in IMAGE_SUFFIXES
    return name if is_written and not has_two else f'{name}.png'
