"""Where top-down pose estimation looks for people: the whole picture, boxes of a file, or a detector's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..config.errors import ConfigError, one_line
from ..pictures.metadata import Metadata
from ..pictures.predictions import Boxes, Prediction
from .sources import Picture, Source, Video

BoxesAndScores = npt.NDArray[np.float32]  # (n, 5): x1 y1 x2 y2 in pixels, and a score

PERSON = 'person'
_LEAST_OVERLAP = 0.3  # IoU: of two people's boxes that overlap more, the surer one is looked at
_ENTRY = 'a list of boxes [x1, y1, x2, y2], in pixels and with x1 < x2 and y1 < y2'


class PersonBoxes(Protocol):
    """Says where to look, for some pictures at a time."""

    def __call__(self, pictures: Sequence[Picture]) -> list[BoxesAndScores]:
        """One ``(n, 5)`` array per picture."""


class Predict(Protocol):
    """A network's answers for some pictures."""

    def __call__(self, pictures: Sequence[Picture]) -> Sequence[Prediction]:
        """One per picture."""


def whole_pictures(pictures: Sequence[Picture]) -> list[BoxesAndScores]:
    """Each picture as one person."""
    sizes = [picture.image.shape[:2] for picture in pictures]
    return [np.array([[0, 0, width, height, 1]], np.float32) for height, width in sizes]


class BoxesOfFile:
    """Boxes that somebody wrote down.

    The file is JSON, ``{"image": [[x1, y1, x2, y2], ...]}`` in pixels; a fifth number of a box is its score.
    An image is named by its path below the source's folder, with forward slashes. A video's name gives the
    boxes of all its frames, ``"clip.mp4#12"`` those of one. Other images than the source's may be there.

    Args:
        path: The file.
        source: The pictures that it must be for.

    Raises:
        ConfigError: if it is not such a file, or says nothing of one of the images.
    """

    def __init__(self, path: str | Path, *, source: Source) -> None:
        self._boxes = _read_boxes(Path(path))
        known = {name.partition('#')[0] for name in self._boxes} if isinstance(source, Video) else self._boxes
        unknown = [name for name in source.names if name not in known]
        if unknown:
            raise ConfigError(
                key='--boxes',
                value=str(path),
                expected=f'an entry for {unknown[0]!r} ({len(unknown)} of {len(source.names)} have none); '
                'an empty list says that nobody is there',
            )

    def __call__(self, pictures: Sequence[Picture]) -> list[BoxesAndScores]:
        """One ``(n, 5)`` array per picture."""
        return [self._boxes_of(picture) for picture in pictures]

    def _boxes_of(self, picture: Picture) -> BoxesAndScores:
        of_video = self._boxes.get(picture.name.rpartition('#')[0]) if picture.frame is not None else None
        boxes = self._boxes.get(picture.name, of_video)
        return np.zeros((0, 5), np.float32) if boxes is None else boxes


class DetectedPeople:
    """The people that a detector finds.

    Boxes of people with at least ``least_score`` are kept, and of two that overlap by more than 0.3 (IoU) the
    surer one, as in mmpose's inferencer. Where there are none, there is nobody.

    Args:
        detect: The detector.
        metadata: Its names of classes.
        key: The argument that named it.
        least_score: From 0 to 1.

    Raises:
        ConfigError: if it does not know people.
    """

    def __init__(self, detect: Predict, *, metadata: Metadata, key: str, least_score: float) -> None:
        names = [name.lower() for name in metadata.names]
        if PERSON not in names and len(names) != 1:
            raise ConfigError(
                key=key, value=', '.join(metadata.names[:5]), expected=f'a detector with a class {PERSON!r}'
            )
        self._label = names.index(PERSON) if PERSON in names else 0
        self._detect = detect
        self._least_score = least_score

    def __call__(self, pictures: Sequence[Picture]) -> list[BoxesAndScores]:
        """One ``(n, 5)`` array per picture."""
        return [self._people_among(found) for found in self._detect(pictures)]

    def _people_among(self, found: Prediction) -> BoxesAndScores:
        from mmpose.evaluation.functional import nms

        assert isinstance(found, Boxes)  # a detector's
        people = (found.labels == self._label) & (found.scores > self._least_score)
        boxes = np.hstack([found.boxes, found.scores[:, None]])[people].astype(np.float32)
        return boxes[nms(boxes, _LEAST_OVERLAP)]


def _read_boxes(path: Path) -> dict[str, BoxesAndScores]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ConfigError(
            key='--boxes', value=str(path), expected=f'a JSON file of boxes ({one_line(error)})'
        ) from error
    if not isinstance(content, Mapping):
        raise ConfigError(key='--boxes', value=str(path), expected=f'{{"image name": {_ENTRY}}}')
    return {name: _checked(name, boxes) for name, boxes in content.items()}


def _checked(name: str, boxes: Any) -> BoxesAndScores:
    if not isinstance(boxes, list):
        raise ConfigError(key=f'--boxes {name}', value=boxes, expected=_ENTRY)
    for box in boxes:
        if not _is_box(box):
            raise ConfigError(key=f'--boxes {name}', value=box, expected=_ENTRY)
    rows = [[*box, 1][:5] for box in boxes]
    return np.array(rows, np.float32).reshape(-1, 5)


def _is_box(box: Any) -> bool:
    is_list = isinstance(box, list) and len(box) in (4, 5)
    return (
        is_list
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in box)
        and box[0] < box[2]
        and box[1] < box[3]
    )
