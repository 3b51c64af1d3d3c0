"""The names a data set is given: whether its ``metainfo`` agrees with itself, before it is built."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mmengine.config import Config
from mmengine.fileio import list_from_file

from ..config.errors import ConfigError, refused
from ..utils import listed

#: What mmpose asks of a data set's own keypoints.
_POSE_KEYS: Final = ('dataset_name', 'keypoint_info', 'skeleton_info', 'joint_weights', 'sigmas')


class _Fault(NamedTuple):
    key: str  # below metainfo
    value: Any
    expected: str


def check_metainfo(key: str, metainfo: Any) -> None:
    """Make sure that a data set's own names, colours and keypoints agree with each other.

    Args:
        key: The config key of the data set.
        metainfo: What the config gives it; what the data set's class brings along is not judged.

    Raises:
        ConfigError: naming the first value that does not fit.
    """
    key = f'{key}.metainfo'
    if isinstance(metainfo, Mapping) and 'from_file' in metainfo:
        key, metainfo = _read(f'{key}.from_file', metainfo['from_file'])
    if not isinstance(metainfo, Mapping):
        return
    faults = _pose_faults(metainfo) if 'keypoint_info' in metainfo else _class_faults(metainfo)
    for fault in faults:
        raise ConfigError(f'{key}.{fault.key}', fault.value, expected=fault.expected)


def _read(key: str, file: Any) -> tuple[str, Any]:
    """The metainfo in a file, with its place; None where mmpose looks among its own files."""
    if not os.path.isfile(file):
        return key, None
    with refused(key, file, expected='a config that can be read'):
        metainfo = Config.fromfile(file).get('dataset_info')
    if not isinstance(metainfo, Mapping) or 'keypoint_info' not in metainfo:
        raise ConfigError(key, file, expected='a config with dataset_info, a dict with keypoint_info')
    return f'{key}, {file}: dataset_info', metainfo


def _class_faults(metainfo: Mapping[str, Any]) -> Iterator[_Fault]:
    classes, palette = metainfo.get('classes'), metainfo.get('palette')
    if isinstance(classes, str):
        if not os.path.isfile(classes):
            yield _Fault('classes', classes, f'a list of names; a comma is missing: ({classes!r},)')
        elif any(not name.strip() or name.startswith('\ufeff') for name in list_from_file(classes)):
            expected = 'a file with a name on each line, without empty lines or a byte order mark'
            yield _Fault('classes', classes, expected)
        return
    if not isinstance(classes, Sequence):
        return
    twice = [name for name, count in Counter(map(str, classes)).items() if count > 1]
    if twice:
        yield _Fault('classes', classes, f'each name once; {twice[0]!r} stands twice')
    if isinstance(palette, Sequence) and not isinstance(palette, str) and len(palette) != len(classes):
        expected = f'{len(classes)} colours, one for each of {", ".join(map(str, classes))}'
        yield _Fault('palette', palette, f'{expected}; there are {len(palette)}')


def _pose_faults(metainfo: Mapping[str, Any]) -> Iterator[_Fault]:
    for key in _POSE_KEYS:
        if key not in metainfo:
            yield _Fault(key, None, f'a metainfo with {", ".join(_POSE_KEYS)}')
    points = metainfo['keypoint_info']
    if not isinstance(points, Mapping) or set(points) != set(range(len(points))):
        ids = list(points) if isinstance(points, Mapping) else points
        yield _Fault('keypoint_info', ids, 'a dict with the keys 0, 1, ...: keypoints count from 0')
        return
    yield from _keypoint_faults(points)
    names = [point['name'] for point in points.values()]
    links = metainfo['skeleton_info']
    for number, link in links.items() if isinstance(links, Mapping) else ():
        ends = link.get('link', ()) if isinstance(link, Mapping) else ()
        if len(ends) != 2 or any(end not in names for end in ends):
            yield _Fault(f'skeleton_info.{number}.link', ends, f'two of the keypoints {listed(names)}')
    for key in ('joint_weights', 'sigmas'):
        values = metainfo[key]
        if not isinstance(values, Sequence) or len(values) != len(points):
            count = len(values) if isinstance(values, Sequence) else 'none'
            yield _Fault(key, values, f'{len(points)} numbers, one for each keypoint; there are {count}')
        elif not all(isinstance(value, (int, float)) and value >= 0 for value in values):
            yield _Fault(key, values, 'numbers, none of them negative')
    if any(value == 0 for value in metainfo['sigmas']):
        yield _Fault('sigmas', metainfo['sigmas'], "positive numbers: COCO's metric divides by them")


def _keypoint_faults(points: Mapping[int, Any]) -> Iterator[_Fault]:
    for number, point in points.items():
        if not isinstance(point, Mapping) or 'name' not in point:
            yield _Fault(f'keypoint_info.{number}', point, "a dict with the keypoint's name")
        elif point.get('id', number) != number:
            yield _Fault(f'keypoint_info.{number}.id', point['id'], f'{number}, as the key says')
    numbers = {point['name']: number for number, point in points.items()}
    for number, point in points.items():
        name, swap = point['name'], point.get('swap') or point['name']
        if numbers[name] != number:
            yield _Fault(f'keypoint_info.{number}.name', name, f'each name once; {name!r} stands twice')
        elif swap not in numbers:
            yield _Fault(f'keypoint_info.{number}.swap', swap, f'one of {listed(list(numbers))}')
        elif (points[numbers[swap]].get('swap') or swap) != name:
            back = points[numbers[swap]].get('swap')
            expected = f'a keypoint that is swapped with {name!r}; that of {swap!r} is {back!r}'
            yield _Fault(f'keypoint_info.{number}.swap', swap, expected)
