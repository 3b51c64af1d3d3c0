"""What is looked at: one image, a folder of images, or a video."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ..config.errors import ConfigError
from ..data.images import IMAGE_SUFFIXES
from ..data.loading import ImageLoader, UnreadableImage
from ..pictures.canvas import Image

VIDEO_SUFFIXES = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
_USUAL_RATE = 25.0  # frames per second, where a video does not say


@dataclass(frozen=True)
class InputImage:
    """One image, or one frame of a video.

    Attributes:
        name: The image's path below the source's folder, with forward slashes; ``clip.mp4#12`` for a frame.
        pixels: RGB, ``(H, W, 3)``, uint8: the frame, or of an image file what is shown of it.
        frame: The frame's number, from 0; None for an image.
        seconds: When the frame is shown; None for an image.
        path: The image file, which each network reads in its own way; None for a frame.
    """

    name: str
    pixels: Image
    frame: int | None = None
    seconds: float | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image file that could not be read, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Images:
    """Image files, read one after the other.

    Attributes:
        root: The folder that names are relative to.
        names: Paths below ``root``, with forward slashes.
        loader: What reads them to be shown.
    """

    root: Path
    names: tuple[str, ...]
    loader: ImageLoader = field(default_factory=ImageLoader)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[InputImage | Unreadable]:
        for name in self.names:
            try:
                pixels = self.loader.read(self.root / name)
            except UnreadableImage as error:
                yield Unreadable(name, str(error))
            else:
                yield InputImage(name, self.loader.visible(pixels), path=self.root / name)


class Video:
    """The frames of a video file.

    Raises:
        ConfigError: if OpenCV finds no frame in it.
    """

    def __init__(self, path: Path) -> None:
        self.root = path.parent
        self.names = (path.name,)
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

    def __iter__(self) -> Iterator[InputImage | Unreadable]:
        (name,) = self.names
        capture = cv2.VideoCapture(str(self.root / name))
        number = 0
        try:
            while True:
                is_frame, frame = capture.read()
                if not is_frame:
                    return
                rgb = np.ascontiguousarray(frame[..., ::-1], dtype=np.uint8)
                yield InputImage(f'{name}#{number}', rgb, number, number / self.rate)
                number += 1
        finally:
            capture.release()


def find_source(
    path: str | Path, *, loader: ImageLoader | None = None, leave_out: Sequence[Path] = ()
) -> Images | Video:
    """The images or the video that a path stands for.

    Folders are searched with all their sub-folders, in alphabetical order of the paths; files that are no
    images by their suffix, and hidden files and folders, are passed over.

    Args:
        path: An image, a folder or a video.
        loader: What reads images; None for mmcv's own with its defaults.
        leave_out: Folders that are not searched.

    Raises:
        ConfigError: there is nothing there, nothing to read in it, or the one image cannot be read.
    """
    place = Path(path)
    loader = loader or ImageLoader()
    if place.is_dir():
        names = _names_below(place, leave_out={folder.resolve() for folder in leave_out})
        if not names:
            raise ConfigError(
                key='SOURCE',
                value=str(place),
                expected=f'a folder with images ({", ".join(IMAGE_SUFFIXES)}) in it or its sub-folders',
            )
        return Images(place, tuple(names), loader)
    if not place.is_file():
        raise ConfigError(
            key='SOURCE',
            value=str(path),
            expected=f'an image, a folder or a video, looked for {place.absolute()}',
        )
    if place.suffix.lower() in VIDEO_SUFFIXES:
        return Video(place)
    loader.load(place, key='SOURCE')
    return Images(place.parent, (place.name,), loader)


def _names_below(root: Path, *, leave_out: set[Path]) -> list[str]:
    def is_wanted(path: Path) -> bool:
        is_image = path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        is_hidden = any(part.startswith('.') for part in path.relative_to(root).parts)
        return is_image and not is_hidden and leave_out.isdisjoint((path.parent.resolve() / '_').parents)

    return sorted(path.relative_to(root).as_posix() for path in root.rglob('*') if is_wanted(path))
