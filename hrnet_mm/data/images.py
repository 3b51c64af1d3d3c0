"""Image files: how large they may be, what their headers say, and what is wrong with them."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mmengine.config import Config
from PIL import Image as pillow

from ..config.errors import ConfigError, one_line
from .findings import Finding

#: Of files that are taken for images.
IMAGE_SUFFIXES: Final = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
#: The EXIF tag of the camera's orientation; 1, or nothing, is upright.
_ORIENTATION = 0x0112
#: The end of a whole file. Behind it cameras and editors may write a little more.
_ENDINGS: Final = {'JPEG': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}
#: A JPEG's markers, but for those inside its pixels: an escaped 255, and where decoding can begin anew.
_MARKER: Final = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')
_START = b'\xff\xd8'
_TAIL = 4096
_EARLY = 'the file ends early'
#: PIL's modes that loaders convert -> the kind of fault.
_CONVERTED_MODES: Final = {
    'L': 'grey image',
    '1': 'grey image',
    'CMYK': 'CMYK image',
    'YCCK': 'CMYK image',
    'P': 'image with a palette',
    'PA': 'image with a palette',
    'RGBA': 'image with transparency',
    'LA': 'image with transparency',
}


@contextmanager
def pixel_limit(*cfgs: Config) -> Iterator[None]:
    """Put a config's ``max_image_pixels`` in place of PIL's limit while a run lasts.

    Args:
        cfgs: The configs of the run. The largest limit counts, PIL's own where none has one.

    Raises:
        ConfigError: if one is not a positive whole number.
    """
    limits = [cfg['max_image_pixels'] for cfg in cfgs if cfg.get('max_image_pixels') is not None]
    for limit in limits:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ConfigError(key='max_image_pixels', value=limit, expected='a positive whole number')
    before = pillow.MAX_IMAGE_PIXELS
    pillow.MAX_IMAGE_PIXELS = max(limits, default=before)
    try:
        yield
    finally:
        pillow.MAX_IMAGE_PIXELS = before


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """An image as its file describes it."""

    width: int  # in pixels, as stored, before EXIF turns it
    height: int  # the same
    mode: str  # PIL's: RGB, L, CMYK, P, ...
    format: str  # PIL's name
    sixteen_bit: bool  # whether a channel has 16 bits or more
    orientation: int  # EXIF's, 1 (upright) to 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the image is turned as EXIF says."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


class TooManyPixels(ValueError):
    """An image's header promises more pixels than may be decoded."""


def read_header(source: str | Path | bytes) -> ImageHeader:
    """Read a header; nothing is decoded.

    Args:
        source: A local file, or what is in it.

    Raises:
        TooManyPixels: for more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.
        OSError: if PIL can't read it, in any way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PIL's own, of what is refused below
            with pillow.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if 0 < (pillow.MAX_IMAGE_PIXELS or 0) < image.width * image.height:
                    raise TooManyPixels(_refusal(f'{image.width}x{image.height} pixels'))
                return _header(image)
    except pillow.DecompressionBombError as error:
        raise TooManyPixels(_refusal(str(error).partition(' exceeds')[0].lower())) from error
    except (OSError, TooManyPixels):
        raise
    except Exception as error:  # PIL's plugins raise whatever a broken header makes them
        raise OSError(one_line(error)) from error


def _refusal(size: str) -> str:
    return (
        f'{size}, more than the {pillow.MAX_IMAGE_PIXELS} that are decoded; for images that are meant to be '
        'so large set max_image_pixels=N in the config'
    )


def _header(image: pillow.Image) -> ImageHeader:
    arguments = str([tile[3] for tile in getattr(image, 'tile', [])])
    # of a PNG without EXIF before its pixels, PIL would decode those to find it behind them
    looked_for = image.format != 'PNG' or 'exif' in image.info
    orientation = image.getexif().get(_ORIENTATION, 1) if looked_for else 1
    return ImageHeader(
        width=image.width,
        height=image.height,
        mode=image.mode,
        format=str(image.format),
        sixteen_bit=image.mode.startswith(('I', 'F')) or ';16' in arguments,
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
    )


def decoding_error(path: str | Path) -> str | None:
    """What is wrong with a file that is not whole, which OpenCV may not say; None of one that is.

    Decodes the image: its header has to be known.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with pillow.open(path) as image:
                image.load()
                kind = image.format
    except Exception as error:  # PIL's plugins raise whatever broken data make them
        return _why(path, error)
    # PIL does without the end of a PNG, OpenCV does not; zeros are pixels to both
    is_cut = kind in _ENDINGS and not _is_ended(Path(path).read_bytes(), kind=kind)
    return _why(path) if is_cut else None


def _is_ended(content: bytes, *, kind: str) -> bool:
    """Whether a PNG or JPEG that can be decoded has its ending: behind its pixels, not in a thumbnail."""
    if kind != 'JPEG' or content.endswith(_ENDINGS[kind]):
        return _ENDINGS[kind] in content
    place = 0
    while marker := _MARKER.search(content, place):
        if marker[0] == _ENDINGS[kind]:
            return True
        place = marker.end()
        if marker[0] != _START:  # of a segment, whose length is in its first two bytes
            place += int.from_bytes(content[place : place + 2], 'big')
    return False


def _why(path: str | Path, error: Exception | None = None) -> str:
    """What PIL raised, or not, in words for those who have the file."""
    if error is None or 'truncated' in str(error).lower():
        size, kept = os.path.getsize(path), len(Path(path).read_bytes().rstrip(b'\0'))
        zeros = f' and {size - kept} zeros' if kept < size else ''
        return f'{_EARLY}, after {kept} bytes{zeros}: was a copy or a download cut off?'
    return one_line(error)


def _not_whole(noun: str, why: str) -> Finding:
    is_cut = noun == 'image' and why.startswith(_EARLY)
    return Finding('truncated image' if is_cut else f'unreadable {noun}', why)


def check_file(path: str, *, noun: str = 'image') -> Iterator[Finding]:
    """What a file's header and end tell of one that would not load: nothing is decoded.

    Args:
        path: The file.
        noun: ``'image'`` or ``'label map'``.
    """
    header = yield from open_header(path, noun=noun)
    if header is not None:
        yield from check_end(path, header, noun=noun)


def check_end(path: str, header: ImageHeader, *, noun: str = 'image') -> Iterator[Finding]:
    """Whether a JPEG or PNG goes on to its end.

    The last bytes tell of nearly every whole file; what lacks the ending there is decoded.
    """
    ending = _ENDINGS.get(header.format)
    if ending is None:
        return
    with open(path, 'rb') as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _TAIL))
        is_there = ending in file.read()
    if not is_there and (why := decoding_error(path)) is not None:
        yield _not_whole(noun, why)


def check_image(path: str, *, size: tuple[int, int] | None = None) -> Iterator[Finding]:
    """Everything that is wrong with an image file; decodes it.

    Args:
        path: The file.
        size: Width and height in pixels as the annotations have them, where they do.
    """
    header = yield from open_header(path)
    if header is None:
        return
    if (why := decoding_error(path)) is not None:
        yield _not_whole('image', why)
        return
    yield from check_conversions(header)
    if size is not None:
        yield from check_size(header.upright_size, annotated=size, stored=(header.width, header.height))


def open_header(path: str, *, noun: str = 'image') -> Generator[Finding, None, ImageHeader | None]:
    """The header of an image file, returned to ``yield from``, or a fault and None."""
    if not os.path.isfile(path):
        yield Finding(f'missing {noun}', 'there is no such file')
        return None
    try:
        return read_header(path)
    except TooManyPixels as error:
        yield Finding('too large image', str(error))
    except OSError as error:
        yield _not_whole(noun, _why(path, error) if os.path.getsize(path) else 'the file is empty')
    return None


def check_conversions(header: ImageHeader) -> Iterator[Finding]:
    """What loaders convert."""
    if header.sixteen_bit:
        yield Finding('16-bit image', '16 bits or more per channel')
    elif header.mode in _CONVERTED_MODES:
        yield Finding(_CONVERTED_MODES[header.mode], f'its mode is {header.mode}')
    if header.orientation != 1:
        width, height = header.upright_size
        stored = f'{header.width}x{header.height} as stored'
        yield Finding(
            'EXIF-rotated image', f'orientation {header.orientation}, {stored}, {width}x{height} upright'
        )


def check_size(
    size: tuple[int, int], *, annotated: tuple[int, int], stored: tuple[int, int]
) -> Iterator[Finding]:
    """Compare sizes, each width and height in pixels.

    Args:
        size: The image's, upright.
        annotated: The annotations'.
        stored: The image's before EXIF turned it.
    """
    if annotated != size:
        reason = f'the annotations say {annotated[0]}x{annotated[1]}, the image has {size[0]}x{size[1]}'
        turned = ': were they made on the image before EXIF turned it, or are the two swapped?'
        yield Finding('image of another size', reason + (turned if annotated == stored else ''))
