"""Where top-down pose estimation looks for people: in boxes of a file, or in those of a detector."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.errors import ConfigError, refused
from ..pictures.metadata import Metadata
from ..pictures.predictions import Boxes
from .sources import Images, InputImage, Video

PersonBoxes = npt.NDArray[np.float32]  # (n, 5): x1 y1 x2 y2 in pixels of the image, and a score

PEOPLE = ('person',)
_LARGEST_OVERLAP = 0.3  # IoU: of two people's boxes that overlap more, the one of the higher score is kept
_ENTRY = 'a list of boxes [x1, y1, x2, y2], in pixels and with x1 < x2 and y1 < y2'


def read_boxes(path: str | Path, *, source: Images | Video) -> dict[str, PersonBoxes]:
    """Read people's boxes from JSON, ``{"image": [[x1, y1, x2, y2], ...]}``.

    Boxes are in pixels of the image; a fifth number of a box is its score. An image is named by its path
    below the source's folder, with forward slashes. A video's name gives the boxes of all its frames,
    ``"clip.mp4#12"`` those of one. Other images than the source's may be there.

    Args:
        path: The file.
        source: What it must be for.

    Returns:
        Name -> boxes, for ``boxes_of``.

    Raises:
        ConfigError: if it is not such a file, or has no entry for one of the source's images.
    """
    with refused('--boxes', str(path), expected='a JSON file of boxes'):
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    if not isinstance(content, Mapping):
        raise ConfigError(key='--boxes', value=str(path), expected=f'{{"image name": {_ENTRY}}}')
    boxes = {name: _parsed(entry, name=name) for name, entry in content.items()}
    known = {name.partition('#')[0] for name in boxes} if isinstance(source, Video) else boxes
    unknown = [name for name in source.names if name not in known]
    if unknown:
        raise ConfigError(
            key='--boxes',
            value=str(path),
            expected=f'an entry for {unknown[0]!r} ({len(unknown)} of {len(source.names)} have none); '
            'an empty list says that nobody is there',
        )
    return boxes


def boxes_of(image: InputImage, boxes: Mapping[str, PersonBoxes]) -> PersonBoxes:
    """The boxes of one image, or of one frame: its own, or else those of its video; ``(n, 5)``."""
    of_video = boxes.get(image.name.rpartition('#')[0]) if image.frame is not None else None
    own = boxes.get(image.name, of_video)
    return np.zeros((0, 5), np.float32) if own is None else own


def people_in(
    detected: Boxes,
    *,
    metadata: Metadata,
    least_score: float = 0.3,
    classes: Sequence[str] = PEOPLE,
    key: str = 'detector',
) -> PersonBoxes:
    """The people, or whatever pose looks at, among a detector's boxes: ``(n, 5)``, empty if nobody is there.

    Of two boxes that overlap by more than 0.3 (IoU) the one of the higher score is kept, as in mmpose's
    inferencer.

    Args:
        detected: What the detector predicts for an image.
        metadata: The detector's.
        least_score: From 0 to 1; boxes must lie above it.
        classes: Names of the detector's classes. Of a detector of one class, people are those of that one.
        key: The argument that named the detector, for messages.

    Raises:
        ConfigError: if the detector does not know such a class.
    """
    from mmpose.evaluation.functional import nms

    labels = class_labels(metadata, classes, key=key)
    people = np.isin(detected.labels, labels) & (detected.scores > least_score)
    boxes = np.hstack([detected.boxes, detected.scores[:, None]])[people].astype(np.float32)
    return boxes[nms(boxes, _LARGEST_OVERLAP)]


def class_labels(metadata: Metadata, classes: Sequence[str], *, key: str) -> list[int]:
    """The numbers of a detector's classes.

    Raises:
        ConfigError: naming ``key`` or ``--detector-class``, if it has no such class.
    """
    names = [name.lower() for name in metadata.names]
    if tuple(classes) == PEOPLE and len(names) == 1:
        return [0]
    unknown = [name for name in classes if name.lower() not in names]
    if unknown and tuple(classes) == PEOPLE:
        expected = "a detector with a class 'person', or --detector-class NAME"
        raise ConfigError(key=key, value=', '.join(metadata.names[:5]), expected=expected)
    if unknown:
        expected = f'classes of the detector ({", ".join(metadata.names)})'
        raise ConfigError(key='--detector-class', value=unknown[0], expected=expected)
    return [names.index(name.lower()) for name in classes]


def _parsed(entry: Any, *, name: str) -> PersonBoxes:
    if not isinstance(entry, list):
        raise ConfigError(key=f'--boxes {name}', value=entry, expected=_ENTRY)
    for box in entry:
        is_box = (
            isinstance(box, list)
            and len(box) in (4, 5)
            and all(isinstance(value, (int, float)) and math.isfinite(value) for value in box)
            and box[0] < box[2]
            and box[1] < box[3]
        )
        if not is_box:
            raise ConfigError(key=f'--boxes {name}', value=box, expected=_ENTRY)
    return np.array([[*box, 1][:5] for box in entry], np.float32).reshape(-1, 5)
