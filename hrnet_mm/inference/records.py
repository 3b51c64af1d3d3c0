"""What was found as plain JSON.

The file is one object: ``networks``, task -> config, checkpoint and names of classes or keypoints;
``images``, a list with one entry per image or frame; ``skipped``, those that could not be read. An entry has
``image``, ``width``, ``height``, ``picture`` (the file drawn, or null), for frames of a video ``frame`` and
``seconds``, and for each task:

* ``pose``: ``people``, each with ``box`` [x1, y1, x2, y2] (null where a bottom-up network gives none),
  ``score`` (of the box, or from bottom-up networks of the person) and ``keypoints`` [[x, y, score], ...] in
  the order of the names;
* ``segmentation``: ``pixels``, class -> number of pixels, only of classes that are present, and ``labels``,
  the PNG of the classes' numbers (null where no folder was asked for);
* ``detection``: ``objects``, each with ``box``, ``label`` (number), ``class`` (name), ``score``, and, from
  networks with masks, ``mask`` (COCO's run-length encoding);
* ``classification``: ``top5``, each with ``label``, ``class`` and ``score``.

All coordinates are pixels of the image; what is not a finite number is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, TextIO

import numpy as np

from ..pictures.metadata import Metadata
from ..pictures.predictions import Boxes, Classes, Labels, Poses, Prediction
from .sources import Picture, Unreadable

Record = dict[str, Any]

_PLACES = 3  # a thousandth of a pixel
_SCORE_PLACES = 6


def record_of(
    picture: Picture,
    answers: Mapping[str, tuple[Prediction, Metadata]],
    *,
    drawn: Path | None,
    labels: Path | None,
) -> Record:
    """The entry of one image or frame.

    Args:
        picture: It.
        answers: Task -> what was found.
        drawn: The file with the picture, if there is one.
        labels: The PNG file with the label map, if there is one.
    """
    height, width = picture.image.shape[:2]
    entry: Record = {'image': picture.name, 'width': width, 'height': height}
    if picture.frame is not None:
        entry |= {'frame': picture.frame, 'seconds': _number(picture.seconds)}
    entry['picture'] = None if drawn is None else str(drawn)
    for task, (found, metadata) in answers.items():
        entry[task] = _RECORDS[type(found)](found, metadata)
        if isinstance(found, Labels):
            entry[task]['labels'] = None if labels is None else str(labels)
    return entry


def summary_of(found: Prediction, metadata: Metadata, *, least_score: float) -> str:
    """What was found in a few words; of boxes, those with at least ``least_score``."""
    shown = found.with_score(least_score) if isinstance(found, Boxes) else found
    return _SUMMARIES[type(shown)](shown, metadata)


class RecordFile:
    """Writes entries as they come, so that what was found before an interruption is kept, as valid JSON.

    Args:
        path: The file; None to write nothing.
        networks: What ``networks`` shall hold.
    """

    def __init__(self, path: Path | None, *, networks: Mapping[str, Any]) -> None:
        self._path = path
        self._networks = networks
        self._skipped: list[Unreadable] = []
        self._file: TextIO | None = None
        self._lead = '\n'

    def __enter__(self) -> RecordFile:
        if self._path is not None:
            self._file = self._path.open('w', encoding='utf-8')
            self._file.write(f'{{"networks": {_json(self._networks)},\n"images": [')
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            skipped = [{'image': each.name, 'why': each.why} for each in self._skipped]
            self._file.write(f'\n],\n"skipped": {_json(skipped)}}}\n')
            self._file.close()

    def add(self, record: Record) -> None:
        """Write one entry."""
        if self._file is not None:
            self._file.write(self._lead + _json(record))
            self._lead = ',\n'

    def skip(self, unreadable: Unreadable) -> None:
        """Remember an image that could not be read, for the end of the file."""
        self._skipped.append(unreadable)


def _pose_record(found: Poses, metadata: Metadata) -> Record:
    people = []
    for index, (points, scores) in enumerate(zip(found.keypoints, found.scores, strict=True)):
        triples = [
            [*_place(point), _number(score, _SCORE_PLACES)]
            for point, score in zip(points, scores, strict=True)
        ]
        people.append(
            {
                'box': None if found.boxes is None else _place(found.boxes[index]),
                'score': _number(found.box_scores[index], _SCORE_PLACES),
                'keypoints': triples,
            }
        )
    return {'people': people}


def _labels_record(found: Labels, metadata: Metadata) -> Record:
    return {'pixels': {_name(metadata, label): count for label, count in _pixels(found)}}


def _boxes_record(found: Boxes, metadata: Metadata) -> Record:
    objects = []
    for index, (box, score, label) in enumerate(zip(found.boxes, found.scores, found.labels, strict=True)):
        each = {'box': _place(box), **_class(label, score, metadata)}
        if found.masks is not None:
            each['mask'] = _run_lengths(found.masks[index])
        objects.append(each)
    return {'objects': objects}


def _classes_record(found: Classes, metadata: Metadata) -> Record:
    pairs = zip(found.labels, found.scores, strict=True)
    return {'top5': [_class(label, score, metadata) for label, score in pairs]}


def _pose_summary(found: Poses, metadata: Metadata) -> str:
    return 'one person' if len(found.scores) == 1 else f'{len(found.scores)} people'


def _labels_summary(found: Labels, metadata: Metadata) -> str:
    largest = sorted(_pixels(found), key=lambda pair: -pair[1])
    return ', '.join(f'{_name(metadata, label)} {count / found.labels.size:.1%}' for label, count in largest)


def _boxes_summary(found: Boxes, metadata: Metadata) -> str:
    labels, counts = np.unique(found.labels, return_counts=True)
    each = ', '.join(f'{_name(metadata, label)} {count}' for label, count in zip(labels, counts, strict=True))
    count = 'one box' if len(found.labels) == 1 else f'{len(found.labels)} boxes'
    return f'{count}: {each}' if each else count


def _classes_summary(found: Classes, metadata: Metadata) -> str:
    pairs = zip(found.labels, found.scores, strict=True)
    return ', '.join(f'{_name(metadata, label)} {score:.1%}' for label, score in pairs)


_RECORDS: Mapping[type, Callable[[Any, Metadata], Record]] = MappingProxyType(
    {Poses: _pose_record, Labels: _labels_record, Boxes: _boxes_record, Classes: _classes_record}
)
_SUMMARIES: Mapping[type, Callable[[Any, Metadata], str]] = MappingProxyType(
    {Poses: _pose_summary, Labels: _labels_summary, Boxes: _boxes_summary, Classes: _classes_summary}
)


def _class(label: Any, score: Any, metadata: Metadata) -> Record:
    return {'label': int(label), 'class': _name(metadata, label), 'score': _number(score, _SCORE_PLACES)}


def _name(metadata: Metadata, label: Any) -> str:
    return metadata.names[label] if label < len(metadata.names) else f'class {label}'


def _pixels(found: Labels) -> list[tuple[int, int]]:
    labels, counts = np.unique(found.labels, return_counts=True)
    return [(int(label), int(count)) for label, count in zip(labels, counts, strict=True)]


def _place(values: Sequence[float] | Any) -> list[float | None]:
    return [_number(value, _PLACES) for value in values]


def _number(value: Any, places: int = _PLACES) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None


def _run_lengths(mask: Any) -> Record:
    from pycocotools.mask import encode

    encoded = encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(map(int, encoded['size'])), 'counts': encoded['counts'].decode('ascii')}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
