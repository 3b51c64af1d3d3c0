"""What networks find in a picture, as plain arrays in the picture's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.errors import ConfigError

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

TOP = 5  # classes of a classification that are told


@dataclass(frozen=True)
class Poses:
    """People.

    Attributes:
        keypoints: ``(n, K, 2)``, x and y in pixels.
        scores: ``(n, K)``, one per keypoint.
        boxes: ``(n, 4)``, x1 y1 x2 y2 in pixels: where top-down networks looked. None of bottom-up ones.
        box_scores: ``(n,)``: the boxes' scores, or of bottom-up networks the people's.
    """

    keypoints: Numbers
    scores: Numbers
    boxes: Numbers | None
    box_scores: Numbers

    def scaled(self, factor: int) -> Poses:
        """The same in a picture enlarged by ``factor``."""
        boxes = None if self.boxes is None else self.boxes * factor
        return replace(self, keypoints=self.keypoints * factor, boxes=boxes)


@dataclass(frozen=True)
class Labels:
    """A class for each pixel: ``(H, W)``, numbers of classes."""

    labels: Whole

    def scaled(self, factor: int) -> Labels:
        """The same in a picture enlarged by ``factor``."""
        return Labels(self.labels.repeat(factor, axis=0).repeat(factor, axis=1))


@dataclass(frozen=True)
class Boxes:
    """Objects, the surest first.

    Attributes:
        boxes: ``(n, 4)``, x1 y1 x2 y2 in pixels.
        scores: ``(n,)``.
        labels: ``(n,)``, numbers of classes.
        masks: ``(n, H, W)``, whether a pixel is the object's; None of networks without masks.
    """

    boxes: Numbers
    scores: Numbers
    labels: Whole
    masks: npt.NDArray[np.bool_] | None = None

    def with_score(self, least: float) -> Boxes:
        """Those with at least this score."""
        kept = self.scores >= least
        masks = None if self.masks is None else self.masks[kept]
        return Boxes(self.boxes[kept], self.scores[kept], self.labels[kept], masks)

    def scaled(self, factor: int) -> Boxes:
        """The same in a picture enlarged by ``factor``."""
        masks = None if self.masks is None else self.masks.repeat(factor, axis=1).repeat(factor, axis=2)
        return replace(self, boxes=self.boxes * factor, masks=masks)


@dataclass(frozen=True)
class Classes:
    """What the whole picture shows, the surest first: ``labels`` and ``scores``, ``(TOP,)`` or fewer."""

    labels: Whole
    scores: Numbers

    def scaled(self, factor: int) -> Classes:
        """The same in a picture enlarged by ``factor``."""
        return self


Prediction = Poses | Labels | Boxes | Classes


def _poses(sample: Any) -> Poses:
    people = sample.pred_instances
    scores = _numbers(people.keypoint_scores)
    boxes = _numbers(people.bboxes) if 'bboxes' in people else None
    box_scores = _numbers(people.bbox_scores) if 'bbox_scores' in people else scores.mean(axis=1)
    return Poses(_numbers(people.keypoints)[..., :2], scores, boxes, box_scores)


def _labels(sample: Any) -> Labels:
    return Labels(_array(sample.pred_sem_seg.data)[0].astype(np.int64))


def _boxes(sample: Any) -> Boxes:
    objects = sample.pred_instances
    scores = _numbers(objects.scores)
    order = np.argsort(-scores, kind='stable')
    masks = _array(objects.masks).astype(bool)[order] if 'masks' in objects else None
    labels = _array(objects.labels).astype(np.int64)
    return Boxes(_numbers(objects.bboxes)[order], scores[order], labels[order], masks)


def _classes(sample: Any) -> Classes:
    scores = _numbers(sample.pred_score)
    best = np.argsort(-scores, kind='stable')[:TOP]
    return Classes(best.astype(np.int64), scores[best])


#: Scope -> the field that its models add to a data sample, and how to read it.
_READERS: Mapping[str, tuple[str, Callable[[Any], Prediction]]] = MappingProxyType(
    {
        'mmpose': ('pred_instances', _poses),
        'mmseg': ('pred_sem_seg', _labels),
        'mmdet': ('pred_instances', _boxes),
        'mmpretrain': ('pred_score', _classes),
    }
)


def prediction_of(sample: Any, *, scope: str) -> Prediction:
    """What a model of a scope says of one image.

    Raises:
        ConfigError: if the model does something else, as a depth estimator does.
    """
    name, read = _READERS[scope]
    if name not in sample:
        raise ConfigError(
            key='model', value=', '.join(sample.keys()), expected=f'a model of {scope} that predicts {name}'
        )
    return read(sample)


def no_people(keypoints: int) -> Poses:
    """Nobody, with so many keypoints each."""
    return Poses(np.zeros((0, keypoints, 2)), np.zeros((0, keypoints)), np.zeros((0, 4)), np.zeros(0))


def together(people: list[Poses], *, keypoints: int) -> Poses:
    """Everybody that a top-down network found in the boxes of one picture."""
    if not people:
        return no_people(keypoints)
    boxes = [each.boxes for each in people if each.boxes is not None]
    return Poses(
        np.concatenate([each.keypoints for each in people]),
        np.concatenate([each.scores for each in people]),
        np.concatenate(boxes) if boxes else None,
        np.concatenate([each.box_scores for each in people]),
    )


def _array(values: Any) -> npt.NDArray[Any]:
    return values.detach().cpu().numpy() if hasattr(values, 'detach') else np.asarray(values)


def _numbers(values: Any) -> Numbers:
    return _array(values).astype(np.float64)
