"""Checks of one image file."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

from .findings import Finding
from .image_header import Header, TooManyPixels, decoding_error, ends_early, read_header

#: PIL's modes that loaders convert -> the kind of finding.
_MODES = {
    'L': 'grey image',
    '1': 'grey image',
    'CMYK': 'CMYK image',
    'YCCK': 'CMYK image',
    'P': 'image with a palette',
    'PA': 'image with a palette',
    'RGBA': 'image with transparency',
    'LA': 'image with transparency',
}


def check_image(path: str, *, size: tuple[int, int] | None = None, item: str = '') -> Iterator[Finding]:
    """Everything that is wrong with an image file; decodes it.

    Args:
        path: The file.
        size: Width and height in pixels as the annotations have them, where they do.
        item: Who wants the image, for messages.
    """
    header = yield from open_header(path, item, 'image')
    if header is None:
        return
    if (why := decoding_error(path)) is not None:
        yield Finding(kind='truncated image', file=path, item=item, reason=why)
        return
    for kind, reason in handled_kinds(header):
        yield Finding(kind=kind, file=path, item=item, reason=reason)
    yield from _check_size(path, header, size, item)


def glance(path: str, *, item: str = '', noun: str = 'image') -> Iterator[Finding]:
    """What header and end alone tell of a file that would not load: nothing is decoded.

    Args:
        path: The file.
        item: Who wants it, for messages.
        noun: ``'image'`` or ``'label map'``.
    """
    header = yield from open_header(path, item, noun)
    if header is not None and (why := ends_early(path, header)) is not None:
        kind = 'truncated image' if noun == 'image' else 'unreadable label map'
        yield Finding(kind=kind, file=path, item=item, reason=why)


def handled_kinds(header: Header) -> Iterator[tuple[str, str]]:
    """What loaders convert, as kind of finding and reason."""
    if header.sixteen_bit:
        yield '16-bit image', '16 bits or more per channel'
    elif header.mode in _MODES:
        yield _MODES[header.mode], f'its mode is {header.mode}'
    if header.orientation != 1:
        width, height = header.upright_size
        stored = f'{header.width}x{header.height} as stored'
        yield 'EXIF-rotated image', f'orientation {header.orientation}, {stored}, {width}x{height} upright'


def open_header(path: str, item: str, noun: str) -> Generator[Finding, None, Header | None]:
    """The header of an image file, returned to ``yield from``, or a finding and None.

    Args:
        path: The file.
        item: Who wants it, for messages.
        noun: ``'image'`` or ``'label map'``.
    """
    if not os.path.isfile(path):
        yield Finding(kind=f'missing {noun}', file=path, item=item, reason='there is no such file')
        return None
    try:
        return read_header(path)
    except TooManyPixels as error:
        yield Finding(kind='too large image', file=path, item=item, reason=str(error))
    except OSError as error:
        empty = not os.path.getsize(path)
        reason = 'the file is empty' if empty else str(error).strip().partition('\n')[0]
        yield Finding(kind=f'unreadable {noun}', file=path, item=item, reason=reason)
    return None


def _check_size(path: str, header: Header, size: tuple[int, int] | None, item: str) -> Iterator[Finding]:
    upright = header.upright_size
    if size is not None and tuple(size) != upright:
        reason = f'the annotations say {size[0]}x{size[1]}, the image has {upright[0]}x{upright[1]}'
        if tuple(size) == (header.width, header.height):
            reason += ' once it is turned as EXIF says: they were made on the image as stored'
        yield Finding(kind='image of another size', file=path, item=item, reason=reason)
