"""Every fault, as a change to the sound data of ``tiny_projects``, and what has to be said of it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

PEOPLE = 'people.json'
FIRST = 'images/north/a.jpg'
MASK = 'masks/north/a.png'
NAN, INFINITE = float('nan'), float('inf')
Spoil = Callable[[Path], object]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        scope: Whose project.
        spoil: Changes the sound data.
        kind: Of the finding.
        file: Where, below the data's folder.
        item: The annotation or image.
        reason: Part of the reason.
    """

    scope: str
    spoil: Spoil
    kind: str
    file: str
    item: str
    reason: str


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


def _sixteen_bit(root: Path) -> None:
    image = cv2.imread(str(root / FIRST)).astype(np.uint16) * 257
    (root / FIRST).write_bytes(cv2.imencode('.png', image)[1].tobytes())


def _noise(root: Path) -> None:
    """A JPEG with something in it, cut in the middle."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    data = cv2.imencode('.jpg', noise)[1].tobytes()
    (root / FIRST).write_bytes(data[: len(data) // 2])


def _exif(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _picture(lambda image: image.rotate(90, expand=True), exif=exif)(root)


def _exif_after_annotating(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _picture(lambda image: image, exif=exif)(root)


def _mask(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(root: Path) -> None:
        mask = cv2.imread(str(root / MASK), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(root / MASK), change(mask))

    return spoil


def _gone(file: str) -> Spoil:
    return lambda root: (root / file).unlink()


def _other_name(content: dict[str, Any]) -> None:
    content['categories'] = [{'id': 1, 'name': 'dog'}]


ONE = 'annotation 1'
_NAMED_TWICE = _people(lambda content: content['annotations'][1].update(id=1))
FAULTS: dict[str, Fault] = {
    # files of images
    'truncated JPEG': Fault('mmdet', _noise, 'truncated image', FIRST, 'image 0', 'truncated'),
    'missing image': Fault('mmdet', _gone(FIRST), 'missing image', FIRST, 'image 0', 'no such file'),
    'missing image in pose': Fault(
        'mmpose', _gone('images/c.png'), 'missing image', 'images/c.png', 'image 3', 'no such file'
    ),
    'empty image file': Fault(
        'mmdet', _bytes(FIRST, lambda _: b''), 'unreadable image', FIRST, 'image 0', 'empty'
    ),
    'no image': Fault(
        'mmdet', _bytes(FIRST, lambda _: b'hello'), 'unreadable image', FIRST, 'image 0', 'cannot identify'
    ),
    'truncated PNG': Fault(
        'mmpose',
        _bytes('images/c.png', lambda data: data[:-30]),
        'truncated image',
        'images/c.png',
        'image 3',
        'truncated',
    ),
    'bomb': Fault(
        'mmdet', _bytes(FIRST, lambda _: bomb()), 'too large image', FIRST, 'image 0', '3600000000'
    ),
    'bomb in pose': Fault(
        'mmpose', _bytes(FIRST, lambda _: bomb(10_000)), 'too large image', FIRST, 'image 0', '10000x10000'
    ),
    '16-bit image': Fault('mmdet', _sixteen_bit, '16-bit image', FIRST, 'image 0', '16 bits'),
    'grey image': Fault(
        'mmdet', _picture(lambda image: image.convert('L')), 'grey image', FIRST, 'image 0', 'mode is L'
    ),
    'CMYK image': Fault(
        'mmdet', _picture(lambda image: image.convert('CMYK')), 'CMYK image', FIRST, 'image 0', 'CMYK'
    ),
    'palette': Fault(
        'mmdet',
        _picture(lambda image: image.convert('P'), format='PNG'),
        'image with a palette',
        FIRST,
        'image 0',
        'mode is P',
    ),
    'transparency': Fault(
        'mmdet',
        _picture(lambda image: image.convert('RGBA'), format='PNG'),
        'image with transparency',
        FIRST,
        'image 0',
        'RGBA',
    ),
    'EXIF': Fault('mmdet', _exif, 'EXIF-rotated image', FIRST, 'image 0', '64x96 as stored, 96x64 upright'),
    'EXIF after annotating': Fault(
        'mmdet', _exif_after_annotating, 'image of another size', FIRST, 'image 0', 'say 96x64'
    ),
    'image of another size': Fault(
        'mmdet',
        _picture(lambda image: image.resize((48, 32))),
        'image of another size',
        FIRST,
        'image 0',
        'the image has 48x32',
    ),
    'broken image of a class': Fault(
        'mmpretrain',
        _bytes('dog/a.jpg', lambda data: data[:40]),
        'unreadable image',
        'dog/a.jpg',
        'sample 3',
        '',
    ),
    # annotation files
    'no annotations': Fault(
        'mmdet',
        _people(lambda content: content['annotations'].clear()),
        'no usable annotation',
        PEOPLE,
        '',
        'none of 0 annotations',
    ),
    'image without annotation': Fault(
        'mmdet',
        _people(lambda content: content['annotations'].pop()),
        'image without annotation',
        PEOPLE,
        'image 3',
        'none that can be learned',
    ),
    'box of no width': Fault('mmdet', _person(bbox=[8, 6, 0, 48]), 'box of no size', PEOPLE, ONE, '0 x 48'),
    'negative box': Fault('mmdet', _person(bbox=[8, 6, -30, 48]), 'box of no size', PEOPLE, ONE, '-30 x 48'),
    'negative box in pose': Fault(
        'mmpose', _person(bbox=[8, 6, -30, 48]), 'box of no size', PEOPLE, ONE, '-30 x 48'
    ),
    'box outside': Fault(
        'mmdet', _person(bbox=[200, 6, 30, 48]), 'box outside the image', PEOPLE, ONE, '96x64'
    ),
    'NaN box': Fault('mmdet', _person(bbox=[NAN, 6, 30, 48]), 'no finite number', PEOPLE, ONE, 'nan'),
    'NaN box in pose': Fault(
        'mmpose', _person(bbox=[NAN, 6, 30, 48]), 'no finite number', PEOPLE, ONE, 'nan'
    ),
    'infinite box': Fault(
        'mmdet', _person(bbox=[8, 6, INFINITE, 48]), 'no finite number', PEOPLE, ONE, 'inf'
    ),
    'huge box': Fault('mmdet', _person(bbox=[8, 6, 1e300, 48]), 'no finite number', PEOPLE, ONE, '1e+300'),
    'huge whole number': Fault(
        'mmdet', _person(bbox=[8, 6, 10**400, 48]), 'no finite number', PEOPLE, ONE, '...'
    ),
    'text for a number': Fault(
        'mmdet', _person(bbox=['a', 6, 30, 48]), 'no finite number', PEOPLE, ONE, "'a'"
    ),
    'no box': Fault('mmdet', _without('bbox'), 'incomplete annotation', PEOPLE, ONE, 'has no bbox'),
    'short box': Fault('mmdet', _person(bbox=[8, 6]), 'incomplete annotation', PEOPLE, ONE, '[8, 6]'),
    'unknown category': Fault(
        'mmdet', _person(category_id=9), 'category not in the config', PEOPLE, ONE, 'category 9'
    ),
    'unknown category in pose': Fault(
        'mmpose', _person(category_id=9), 'category not listed', PEOPLE, ONE, 'category 9'
    ),
    'category missing from the config': Fault(
        'mmdet',
        _people(
            lambda content: (
                content['categories'].append({'id': 2, 'name': 'car'}),
                content['annotations'][0].update(category_id=2),
            )
        ),
        'category not in the config',
        PEOPLE,
        ONE,
        'category 2, which is not in the config',
    ),
    'no category of the config': Fault(
        'mmdet', _people(_other_name), 'no usable annotation', PEOPLE, '', 'categories in the file: dog'
    ),
    'unknown image': Fault('mmdet', _person(image_id=77), 'unknown image', PEOPLE, ONE, 'image 77'),
    'annotation id twice': Fault('mmdet', _NAMED_TWICE, 'id given twice', PEOPLE, ONE, 'another annotation'),
    'image id twice': Fault(
        'mmdet',
        _people(lambda content: content['images'][1].update(id=0)),
        'id given twice',
        PEOPLE,
        'image 0',
        'another image',
    ),
    'no width': Fault(
        'mmdet',
        _people(lambda content: content['images'][0].pop('width')),
        'incomplete image record',
        PEOPLE,
        'image 0',
        'has no width',
    ),
    'keypoint outside': Fault(
        'mmpose',
        _keypoints(lambda points: [900, 5, 2, *points[3:]]),
        'keypoint outside the image',
        PEOPLE,
        ONE,
        'keypoint 0 at [900, 5]',
    ),
    'NaN keypoint': Fault(
        'mmpose',
        _keypoints(lambda points: [*points[:3], 5, NAN, 2, *points[6:]]),
        'no finite number',
        PEOPLE,
        ONE,
        'keypoint 1',
    ),
    'keypoints missing': Fault(
        'mmpose',
        _keypoints(lambda points: points[:-3]),
        'wrong number of keypoints',
        PEOPLE,
        ONE,
        '48 numbers; expected 17',
    ),
    'keypoints in no triples': Fault(
        'mmpose',
        _keypoints(lambda points: points[:-1]),
        'wrong number of keypoints',
        PEOPLE,
        ONE,
        '50 numbers',
    ),
    'no keypoints': Fault('mmpose', _without('keypoints'), 'no keypoints', PEOPLE, ONE, 'has no keypoints'),
    'deep nesting': Fault(
        'mmdet', _text('{"images": ' + '[' * 200_000), 'unreadable annotations', PEOPLE, '', 'too deeply'
    ),
    'number of 5000 digits': Fault(
        'mmpose', _text('{"images": [' + '9' * 5000 + ']}'), 'unreadable annotations', PEOPLE, '', 'digits'
    ),
    'cut JSON': Fault(
        'mmdet', _bytes(PEOPLE, lambda data: data[:-9]), 'unreadable annotations', PEOPLE, '', 'no JSON'
    ),
    'JSON of something else': Fault(
        'mmdet', _text('[1, 2]'), 'unreadable annotations', PEOPLE, '', 'holds a list'
    ),
    'no list of images': Fault(
        'mmpose', _text('{"images": 3}'), 'unreadable annotations', PEOPLE, '', "no list 'images'"
    ),
    # label maps
    'missing label map': Fault(
        'mmseg', _gone(MASK), 'missing label map', MASK, f'of {FIRST}', 'no such file'
    ),
    'label map of another size': Fault(
        'mmseg',
        _mask(lambda mask: mask[:32, :48]),
        'label map of another size',
        MASK,
        f'of {FIRST}',
        '48x32 pixels, the image 96x64',
    ),
    'unexpected class id': Fault(
        'mmseg', _mask(lambda mask: mask + 7), 'unexpected class id', MASK, f'of {FIRST}', '7'
    ),
    'label map of colours': Fault(
        'mmseg',
        _mask(lambda mask: np.dstack([mask] * 3)),
        'label map with channels',
        MASK,
        f'of {FIRST}',
        '3',
    ),
    '16-bit label map': Fault(
        'mmseg', _mask(lambda mask: mask.astype(np.uint16) + 256), '16-bit label map', MASK, f'of {FIRST}', ''
    ),
    'truncated label map': Fault(
        'mmseg', _bytes(MASK, lambda data: data[:50]), 'unreadable label map', MASK, f'of {FIRST}', ''
    ),
}
