"""What an image's header says, and whether the image is small enough to be decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from PIL import Image

from ..config.errors import ConfigError, one_line

#: The EXIF tag of the camera's orientation; 1, or nothing, is upright.
_ORIENTATION = 0x0112
#: The end of a whole file. Behind it cameras and editors may write a little more.
_ENDINGS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}
_TAIL = 4096


@dataclass(frozen=True, kw_only=True)
class Header:
    """An image as its file describes it.

    Attributes:
        width: In pixels, as stored, before EXIF turns it.
        height: In pixels, as stored.
        mode: PIL's mode: ``RGB``, ``L``, ``CMYK``, ``P``, ...
        format: PIL's name of the format.
        sixteen_bit: Whether a channel has 16 bits or more.
        orientation: EXIF's, 1 (upright) to 8.
    """

    width: int
    height: int
    mode: str
    format: str
    sixteen_bit: bool
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the image is turned as EXIF says."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


class TooManyPixels(ValueError):
    """An image's header promises more pixels than ``pixel_limit``."""


def pixel_limit() -> int:
    """The most pixels an image may have: PIL's own ``Image.MAX_IMAGE_PIXELS``; 0 where that is None."""
    return Image.MAX_IMAGE_PIXELS or 0


@contextmanager
def pixel_limit_of(cfg: Config) -> Iterator[None]:
    """While it is entered, a config's ``max_image_pixels``, where it has one, is PIL's limit in this process.

    Raises:
        ConfigError: if that is not a positive whole number.
    """
    limit = cfg.get('max_image_pixels')
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ConfigError(key='max_image_pixels', value=limit, expected='a positive whole number')
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = before if limit is None else limit
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def read_header(source: str | Path | bytes) -> Header:
    """Read a header; nothing is decoded.

    Args:
        source: A local file, or what is in it.

    Raises:
        TooManyPixels: for more than ``pixel_limit`` pixels.
        OSError: if PIL can't read it, in any way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PIL's own, of what is refused below
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                _require_few_pixels(image)
                return _header(image)
    except Image.DecompressionBombError as error:
        raise TooManyPixels(_refusal(str(error).partition(' exceeds')[0].lower())) from error
    except (OSError, TooManyPixels):
        raise
    except Exception as error:  # PIL's plugins raise whatever a broken header makes them
        raise OSError(one_line(error)) from error


def too_large(source: str | Path | bytes) -> str | None:
    """Why an image must not be decoded; None if it may, or if its decoder will have to say."""
    try:
        read_header(source)
    except TooManyPixels as error:
        return str(error)
    except OSError:
        return None
    return None


def ends_early(path: str | Path, header: Header) -> str | None:
    """Why an image file is not whole; None if it is.

    The last bytes tell for nearly every file; the others are decoded.
    """
    ending = _ENDINGS.get(header.format)
    if ending is not None:
        with open(path, 'rb') as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - _TAIL))
            if ending in file.read():
                return None
    return decoding_error(path) if ending is not None else None


def decoding_error(path: str | Path) -> str | None:
    """What PIL, unlike OpenCV, says of a file that is not whole; None of one that is.

    Decodes the image: its header has to be known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(path) as image:
                image.load()
    except Exception as error:  # PIL's plugins raise whatever broken data make them
        return one_line(error)
    return None


def _header(image: Image.Image) -> Header:
    arguments = str([tile[3] for tile in getattr(image, 'tile', [])])
    return Header(
        width=image.width,
        height=image.height,
        mode=image.mode,
        format=str(image.format),
        sixteen_bit=image.mode.startswith(('I', 'F')) or ';16' in arguments,
        orientation=_orientation(image),
    )


def _require_few_pixels(image: Image.Image) -> None:
    if 0 < pixel_limit() < image.width * image.height:
        raise TooManyPixels(_refusal(f'{image.width}x{image.height} pixels'))


def _orientation(image: Image.Image) -> int:
    if image.format == 'PNG' and 'exif' not in image.info:
        return 1  # PIL would decode the image to find EXIF behind the pixels
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _refusal(size: str) -> str:
    return (
        f'{size}, more than the {pixel_limit()} that are decoded; for images that are meant to be so '
        'large set max_image_pixels=N in the config'
    )
