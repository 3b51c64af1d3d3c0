"""Predictions as plain JSON.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from ..pictures.metadata import Metadata
from ..pictures.predictions import Boxes, Classes, Labels, Poses, Prediction
from .sources import InputImage, Unreadable

Record = dict[str, Any]

_PLACES = 3  # a thousandth of a pixel
_SCORE_PLACES = 6


def record_of(
    image: InputImage,
    predictions: Mapping[str, Prediction],
    metadata: Mapping[str, Metadata],
    *,
    picture: Path | None,
    labels: Path | None,
) -> Record:
    """The entry of one image or frame.

    Args:
        image: It.
        predictions: Task -> what its network predicts.
        metadata: Task -> the names of its classes or keypoints.
        picture: The file with the picture, if there is one.
        labels: The PNG file with the label map, if there is one.
    """
    height, width = image.pixels.shape[:2]
    entry: Record = {'image': image.name, 'width': width, 'height': height}
    if image.frame is not None:
        entry |= {'frame': image.frame, 'seconds': _number(image.seconds)}
    entry['picture'] = None if picture is None else str(picture)
    for task, prediction in predictions.items():
        entry[task] = _entry_of(prediction, metadata[task])
        if isinstance(prediction, Labels):
            entry[task]['labels'] = None if labels is None else str(labels)
    return entry


@contextmanager
def record_file(
    path: Path | None, *, networks: Mapping[str, Any], skipped: Sequence[Unreadable]
) -> Iterator[Callable[[Record], None]]:
    """A function that writes entries as they come: an interruption leaves those before it, as valid JSON.

    Args:
        path: The file; None to write nothing.
        networks: Task -> what the file says of its network.
        skipped: Images that could not be read, as they are when the file ends.
    """
    if path is None:
        yield lambda record: None
        return
    with path.open('w', encoding='utf-8') as file:
        file.write(f'{{"networks": {_json(networks)},\n"images": [')
        leads = chain(['\n'], repeat(',\n'))
        try:
            yield lambda record: print(next(leads), _json(record), sep='', end='', file=file)
        finally:
            left_out = [{'image': each.name, 'why': each.why} for each in skipped]
            file.write(f'\n],\n"skipped": {_json(left_out)}}}\n')


def summary_of(prediction: Prediction, metadata: Metadata, *, least_score: float) -> str:
    """A prediction in a few words; of boxes, those with at least ``least_score``."""
    match prediction:
        case Poses(scores=people):
            return 'one person' if len(people) == 1 else f'{len(people)} people'
        case Labels(labels=labels):
            largest = sorted(_counts(labels), key=lambda pair: -pair[1])
            return ', '.join(f'{_name(metadata, label)} {n / labels.size:.1%}' for label, n in largest)
        case Boxes():
            counts = _counts(prediction.with_score(least_score).labels)
            total = sum(n for _, n in counts)
            classes = ', '.join(f'{_name(metadata, label)} {n}' for label, n in counts)
            return ('one box' if total == 1 else f'{total} boxes') + (f': {classes}' if classes else '')
        case Classes(labels=labels, scores=scores):
            best = zip(labels, scores, strict=True)
            return ', '.join(f'{_name(metadata, label)} {score:.1%}' for label, score in best)


def _entry_of(prediction: Prediction, metadata: Metadata) -> Record:
    match prediction:
        case Poses():
            return {'people': [_person(prediction, index) for index in range(len(prediction.scores))]}
        case Labels(labels=labels):
            return {'pixels': {_name(metadata, label): n for label, n in _counts(labels)}}
        case Boxes():
            return {
                'objects': [_object(prediction, index, metadata) for index in range(len(prediction.labels))]
            }
        case Classes(labels=labels, scores=scores):
            best = zip(labels, scores, strict=True)
            return {'top5': [_class(label, score, metadata) for label, score in best]}


def _person(poses: Poses, index: int) -> Record:
    points = zip(poses.keypoints[index], poses.scores[index], strict=True)
    return {
        'box': None if poses.boxes is None else _place(poses.boxes[index]),
        'score': _number(poses.box_scores[index], _SCORE_PLACES),
        'keypoints': [[*_place(point), _number(score, _SCORE_PLACES)] for point, score in points],
    }


def _object(boxes: Boxes, index: int, metadata: Metadata) -> Record:
    found = _class(boxes.labels[index], boxes.scores[index], metadata)
    entry = {'box': _place(boxes.boxes[index]), **found}
    if boxes.masks is not None:
        from pycocotools.mask import encode

        encoded = encode(np.asfortranarray(boxes.masks[index].astype(np.uint8)))
        size, counts = list(map(int, encoded['size'])), encoded['counts'].decode('ascii')
        entry['mask'] = {'size': size, 'counts': counts}
    return entry


def _class(label: Any, score: Any, metadata: Metadata) -> Record:
    return {'label': int(label), 'class': _name(metadata, label), 'score': _number(score, _SCORE_PLACES)}


def _name(metadata: Metadata, label: Any) -> str:
    return metadata.names[label] if label < len(metadata.names) else f'class {label}'


def _counts(labels: Any) -> list[tuple[int, int]]:
    values, counts = np.unique(labels, return_counts=True)
    return list(zip(values.tolist(), counts.tolist(), strict=True))


def _place(values: Sequence[float] | Any) -> list[float | None]:
    return [_number(value, _PLACES) for value in values]


def _number(value: Any, places: int = _PLACES) -> float | None:
    return round(float(value), places) if math.isfinite(value) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
