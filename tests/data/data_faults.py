"""Every fault, as a change to the sound data of ``tiny_projects``, and what has to be said of it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

PEOPLE = 'people.json'
FIRST = 'images/north/a.jpg'
MASK = 'masks/north/a.png'
NAN, INFINITE = float('nan'), float('inf')
Spoil = Callable[[Path], object]


class Fault(NamedTuple):
    """A change to sound data, and the finding that it has to give."""

    spoil: Spoil
    kind: str
    reason: str  # a part of it
    scope: str = 'mmdet'  # whose project
    file: str = PEOPLE  # below the data's folder
    item: str = 'annotation 1'


def bomb(side: int = 60_000) -> bytes:
    """A PNG of a few bytes whose header promises ``side`` x ``side`` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', side, side, 8, 2, 0, 0, 0)
    parts = [chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'\0' * 100)), chunk(b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def _people(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(root: Path) -> None:
        content = json.loads((root / PEOPLE).read_text())
        change(content)
        (root / PEOPLE).write_text(json.dumps(content))

    return spoil


def _person(**values: Any) -> Spoil:
    """Other values in annotation 1."""
    return _people(lambda content: content['annotations'][0].update(values))


def _box(*box: Any) -> Spoil:
    return _person(bbox=list(box))


def _without(key: str) -> Spoil:
    return _people(lambda content: content['annotations'][0].pop(key))


def _keypoints(change: Callable[[list[float]], list[float]]) -> Spoil:
    def spoil(content: dict[str, Any]) -> None:
        person = content['annotations'][0]
        person['keypoints'] = change(person['keypoints'])

    return _people(spoil)


def _text(text: str) -> Spoil:
    return lambda root: (root / PEOPLE).write_text(text)


def _bytes(file: str, change: Callable[[bytes], bytes]) -> Spoil:
    return lambda root: (root / file).write_bytes(change((root / file).read_bytes()))


def _picture(change: Callable[[Image.Image], Image.Image], **options: Any) -> Spoil:
    """The first image changed by PIL."""

    def spoil(root: Path) -> None:
        with Image.open(root / FIRST) as image:
            changed = change(image.convert('RGB'))
        changed.save(root / FIRST, **{'format': 'JPEG', **options})

    return spoil


def _mode(mode: str, format: str = 'PNG') -> Spoil:
    return _picture(lambda image: image.convert(mode), format=format)


def _sixteen_bit(root: Path) -> None:
    image = cv2.imread(str(root / FIRST)).astype(np.uint16) * 257
    (root / FIRST).write_bytes(cv2.imencode('.png', image)[1].tobytes())


def _noise(root: Path) -> None:
    """A JPEG with something in it, cut in the middle."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    data = cv2.imencode('.jpg', noise)[1].tobytes()
    (root / FIRST).write_bytes(data[: len(data) // 2])


def _exif(root: Path, *, turned: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _picture(lambda image: image.rotate(90, expand=True) if turned else image, exif=exif)(root)


def _mask(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(root: Path) -> None:
        mask = cv2.imread(str(root / MASK), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(root / MASK), change(mask))

    return spoil


def _gone(file: str) -> Spoil:
    return lambda root: (root / file).unlink()


def _other_category(content: dict[str, Any]) -> None:
    content['categories'].append({'id': 2, 'name': 'car'})
    content['annotations'][0].update(category_id=2)


_in_image = partial(Fault, file=FIRST, item='image 0')
_in_c = partial(Fault, scope='mmpose', file='images/c.png', item='image 3')
_in_person = partial(Fault, scope='mmpose')
_in_file = partial(Fault, item='')
_in_mask = partial(Fault, scope='mmseg', file=MASK, item=f'of {FIRST}')

FAULTS: dict[str, Fault] = {
    # files of images
    'truncated JPEG': _in_image(_noise, 'truncated image', 'the file ends early, after '),
    'truncated PNG': _in_c(
        _bytes('images/c.png', lambda data: data[:-2]), 'truncated image', 'the file ends early'
    ),
    'missing image': _in_image(_gone(FIRST), 'missing image', 'no such file'),
    'missing image in pose': _in_c(_gone('images/c.png'), 'missing image', 'no such file'),
    'empty image file': _in_image(_bytes(FIRST, lambda _: b''), 'unreadable image', 'empty'),
    'no image': _in_image(_bytes(FIRST, lambda _: b'hello'), 'unreadable image', 'cannot identify'),
    'broken image of a class': Fault(
        _bytes('dog/a.jpg', lambda data: data[:40]),
        'truncated image',
        'the file ends early, after 40 bytes',
        'mmpretrain',
        'dog/a.jpg',
        'sample 3',
    ),
    'bomb': _in_image(_bytes(FIRST, lambda _: bomb()), 'too large image', '3600000000'),
    'bomb in pose': _in_image(
        _bytes(FIRST, lambda _: bomb(10_000)), 'too large image', '10000x10000', 'mmpose'
    ),
    '16-bit image': _in_image(_sixteen_bit, '16-bit image', '16 bits'),
    'grey image': _in_image(_mode('L', 'JPEG'), 'grey image', 'mode is L'),
    'CMYK image': _in_image(_mode('CMYK', 'JPEG'), 'CMYK image', 'CMYK'),
    'palette': _in_image(_mode('P'), 'image with a palette', 'mode is P'),
    'transparency': _in_image(_mode('RGBA'), 'image with transparency', 'RGBA'),
    'EXIF': _in_image(partial(_exif, turned=True), 'EXIF-rotated image', '64x96 as stored, 96x64 upright'),
    'EXIF after annotating': _in_image(
        partial(_exif, turned=False),
        'image of another size',
        'say 96x64, the image has 64x96: were they made',
    ),
    'image of another size': _in_image(
        _picture(lambda image: image.resize((48, 32))), 'image of another size', 'the image has 48x32'
    ),
    # annotation files
    'deep nesting': _in_file(_text('{"images": ' + '[' * 200_000), 'unreadable annotations', 'too deeply'),
    'number of 5000 digits': _in_file(
        _text('{"images": [' + '9' * 5000 + ']}'), 'unreadable annotations', 'digits', 'mmpose'
    ),
    'cut JSON': _in_file(_bytes(PEOPLE, lambda data: data[:-9]), 'unreadable annotations', 'no JSON'),
    'JSON of something else': _in_file(_text('[1, 2]'), 'unreadable annotations', 'holds a list'),
    'no list of images': _in_file(
        _text('{"images": 3}'), 'unreadable annotations', "no list 'images'", 'mmpose'
    ),
    'no annotations': _in_file(
        _people(lambda content: content['annotations'].clear()),
        'no usable annotation',
        'none of 0 annotations',
    ),
    'no category of the config': _in_file(
        _people(lambda content: content.update(categories=[{'id': 1, 'name': 'dog'}])),
        'class not in the file',
        'the config has person, the file dog',
        item="class 'person'",
    ),
    'image without annotation': Fault(
        _people(lambda content: content['annotations'].pop()),
        'image without annotation',
        'none that can be learned',
        item='image 3',
    ),
    'image id twice': Fault(
        _people(lambda content: content['images'][1].update(id=0)),
        'id given twice',
        'another image',
        item='image 0',
    ),
    'no width': Fault(
        _people(lambda content: content['images'][0].pop('width')),
        'incomplete image record',
        'has no width',
        item='image 0',
    ),
    # annotations
    'annotation id twice': Fault(
        _people(lambda content: content['annotations'][1].update(id=1)),
        'id given twice',
        'another annotation',
    ),
    'unknown image': Fault(_person(image_id=77), 'unknown image', 'image 77'),
    'unknown category': Fault(_person(category_id=9), 'category not in the config', 'category 9'),
    'unknown category in pose': _in_person(_person(category_id=9), 'category not listed', 'category 9'),
    'category missing from the config': Fault(
        _people(_other_category), 'category not in the config', 'category 2, which is not in the config'
    ),
    'no box': Fault(_without('bbox'), 'incomplete annotation', 'has no bbox'),
    'short box': Fault(_box(8, 6), 'incomplete annotation', '[8, 6]'),
    'box of no width': Fault(_box(8, 6, 0, 48), 'box of no size', '0 x 48'),
    'negative box': Fault(_box(8, 6, -30, 48), 'box of no size', '-30 x 48'),
    'negative box in pose': _in_person(_box(8, 6, -30, 48), 'box of no size', '-30 x 48'),
    'box outside': Fault(_box(200, 6, 30, 48), 'box outside the image', '96x64'),
    'NaN box': Fault(_box(NAN, 6, 30, 48), 'no finite number', 'nan'),
    'NaN box in pose': _in_person(_box(NAN, 6, 30, 48), 'no finite number', 'nan'),
    'infinite box': Fault(_box(8, 6, INFINITE, 48), 'no finite number', 'inf'),
    'huge box': Fault(_box(8, 6, 1e300, 48), 'no finite number', '1e+300'),
    'huge whole number': Fault(_box(8, 6, 10**400, 48), 'no finite number', '...'),
    'text for a number': Fault(_box('a', 6, 30, 48), 'no finite number', "'a'"),
    'keypoint outside': _in_person(
        _keypoints(lambda points: [900, 5, 2, *points[3:]]),
        'keypoint outside the image',
        'keypoint 0 at [900, 5]',
    ),
    'NaN keypoint': _in_person(
        _keypoints(lambda points: [*points[:3], 5, NAN, 2, *points[6:]]), 'no finite number', 'keypoint 1'
    ),
    'keypoints missing': _in_person(
        _keypoints(lambda points: points[:-3]), 'wrong number of keypoints', '48 numbers; expected 17'
    ),
    'keypoints in no triples': _in_person(
        _keypoints(lambda points: points[:-1]), 'wrong number of keypoints', '50 numbers'
    ),
    'no keypoints': _in_person(_without('keypoints'), 'no keypoints', 'has no keypoints'),
    # label maps
    'missing label map': _in_mask(_gone(MASK), 'missing label map', 'no such file'),
    'truncated label map': _in_mask(_bytes(MASK, lambda data: data[:50]), 'unreadable label map', ''),
    'label map of another size': _in_mask(
        _mask(lambda mask: mask[:32, :48]), 'label map of another size', '48x32 pixels, the image 96x64'
    ),
    'label map of colours': _in_mask(
        _mask(lambda mask: np.dstack([mask] * 3)), 'label map with channels', '3'
    ),
    '16-bit label map': _in_mask(_mask(lambda mask: mask.astype(np.uint16) + 256), '16-bit label map', ''),
    'unexpected class id': _in_mask(_mask(lambda mask: mask + 7), 'unexpected class id', '7'),
}
