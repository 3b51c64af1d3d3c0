"""What a data sample says of an image, predicted or true, as plain arrays in pixels of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.codebases import CODEBASES
from ..config.errors import ConfigError
from ..config.paths import type_name
from .metadata import IGNORED

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Size = tuple[float, float]  # height, width

TOP = 5  # classes of a classification that are told
_PANOPTIC = 1000  # mmdet's panoptic maps hold class + 1000 * number of the object


@dataclass(frozen=True)
class Poses:
    """People.

    Attributes:
        keypoints: ``(n, K, 2)``, x and y in pixels.
        scores: ``(n, K)``, one per keypoint; of the truth 1 where it is annotated, else 0.
        boxes: ``(n, 4)``, x1 y1 x2 y2 in pixels: where top-down networks looked. None of bottom-up ones.
        box_scores: ``(n,)``: the boxes' scores, or of bottom-up networks the people's.
    """

    keypoints: Numbers
    scores: Numbers
    boxes: Numbers | None
    box_scores: Numbers

    def resized(self, old: Size, new: Size) -> Poses:
        """The same in an image of another size; a keypoint on a pixel's middle stays there."""
        boxes = None if self.boxes is None else self.boxes * _factors(old, new)
        points = (self.keypoints + 0.5) * _factors(old, new)[:2] - 0.5
        return replace(self, keypoints=points, boxes=boxes)


@dataclass(frozen=True)
class Labels:
    """A class for each pixel: ``(H, W)``, numbers of classes, -1 where it is ignored."""

    labels: Whole

    def resized(self, old: Size, new: Size) -> Labels:
        """The same in an image of another size."""
        return Labels(_sampled(self.labels, old, new))


@dataclass(frozen=True)
class Boxes:
    """Objects, the surest first.

    Attributes:
        boxes: ``(n, 4)``, x1 y1 x2 y2 in pixels.
        scores: ``(n,)``; NaN of the truth.
        labels: ``(n,)``, numbers of classes, -1 of those that are ignored.
        masks: ``(n, H, W)``, whether a pixel is the object's; None of networks without masks.
    """

    boxes: Numbers
    scores: Numbers
    labels: Whole
    masks: npt.NDArray[np.bool_] | None = None

    def with_score(self, least: float) -> Boxes:
        """Those with at least this score, and the true ones."""
        kept = ~(self.scores < least)
        masks = None if self.masks is None else self.masks[kept]
        return Boxes(self.boxes[kept], self.scores[kept], self.labels[kept], masks)

    def resized(self, old: Size, new: Size) -> Boxes:
        """The same in an image of another size."""
        masks = None if self.masks is None else _sampled(self.masks, old, new)
        return replace(self, boxes=self.boxes * _factors(old, new), masks=masks)


@dataclass(frozen=True)
class Classes:
    """What the whole image shows: ``labels``, and ``scores``, the surest first or, of the truth, NaN."""

    labels: Whole
    scores: Numbers

    def resized(self, old: Size, new: Size) -> Classes:
        """The same in an image of another size."""
        return self


Prediction = Poses | Labels | Boxes | Classes


def _factors(old: Size, new: Size) -> Numbers:
    """Of x, y, x and y."""
    return np.array([new[1] / old[1], new[0] / old[0]] * 2)


def _sampled(grid: npt.NDArray[Any], old: Size, new: Size) -> npt.NDArray[Any]:
    """The nearest of ``(..., H, W)`` values; what lies beyond ``old``, as padding does, is left out."""
    rows, columns = (
        np.minimum((np.arange(int(after)) + 0.5) * before / after, edge - 1).astype(int)
        for before, after, edge in zip(old, new, grid.shape[-2:], strict=True)
    )
    return grid[..., rows[:, None], columns]


def prediction_of(sample: Any, *, scope: str) -> Prediction:
    """What a model of a codebase says of one image.

    Raises:
        ConfigError: if the model does something else, as a depth estimator does.
    """
    read: Callable[[Any], Prediction | None] = CODEBASES[scope].function('predictions')
    if (found := read(sample)) is None:
        task = CODEBASES[scope].task
        raise ConfigError(
            key='model', value=', '.join(sample.keys()), expected=f'a model of {scope} for {task}'
        )
    return found


def poses_of(sample: Any) -> Poses | None:
    """People in a data sample of mmpose."""
    people = sample.get('pred_instances')
    if people is None:
        return None
    scores = _numbers(people.keypoint_scores)
    boxes = _numbers(people.bboxes) if 'bboxes' in people else None
    box_scores = _numbers(people.bbox_scores) if 'bbox_scores' in people else scores.mean(axis=1)
    return Poses(_numbers(people.keypoints)[..., :2], scores, boxes, box_scores)


def labels_of(sample: Any) -> Labels | None:
    """The label map in a data sample of mmseg."""
    found = sample.get('pred_sem_seg')
    return None if found is None else Labels(_array(found.data)[0].astype(np.int64))


def boxes_of(sample: Any) -> Boxes | Labels | None:
    """Objects in a data sample of mmdet, or its panoptic map without a difference between objects."""
    objects, panoptic = sample.get('pred_instances'), sample.get('pred_panoptic_seg')
    if objects is None:
        return None if panoptic is None else Labels(_array(panoptic.sem_seg)[0].astype(np.int64) % _PANOPTIC)
    scores = _numbers(objects.scores)
    order = np.argsort(-scores, kind='stable')
    masks = _masks(objects)
    labels = _array(objects.labels).astype(np.int64)
    masks = None if masks is None else masks[order]
    return Boxes(_box_corners(objects)[order], scores[order], labels[order], masks)


def classes_of(sample: Any) -> Classes | None:
    """The likeliest classes in a data sample of mmpretrain."""
    if 'pred_score' not in sample:
        return None
    scores = _numbers(sample.pred_score)
    best = np.argsort(-scores, kind='stable')[:TOP]
    return Classes(best.astype(np.int64), scores[best])


class TruthReader:
    """Reads the annotations out of the data samples of one data set, of any codebase.

    Args:
        dataset: As a data loader has it.
    """

    def __init__(self, dataset: Any) -> None:
        dataset, _ = innermost(dataset, 0)
        self._ignore_index = int(getattr(dataset, 'ignore_index', 255))
        steps = [
            type(step).__name__ for step in getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
        ]
        resize = next((index for index, name in enumerate(steps) if 'Resize' in name), 0)
        self._is_resized = any(map(loads_annotations, steps[:resize]))

    def on_input(self, sample: Any) -> list[Prediction]:
        """In pixels of the network's input: label map, boxes, people and classes, as far as there are some.

        Boxes of crowds are labelled as ignored.
        """
        return self._read(sample, keypoints_of=_moved_keypoints)

    def on_image(self, sample: Any) -> list[Prediction]:
        """The same in pixels of the image file, as predictions are; what a pipeline padded is cut off.

        Annotations that mmdet's or mmseg's pipeline loads before it resizes the image are resized with it;
        those loaded behind the resize, as in their own test pipelines, and mmpose's are in these pixels.
        """
        truths = self._read(sample, keypoints_of=lambda sample: _numbers(sample.gt_instances.keypoints))
        shape = sample.get('ori_shape')
        if shape is None:
            return truths
        old = shape[:2]
        if self._is_resized and 'scale_factor' in sample:  # of width and height; img_shape may be padded
            old = (shape[0] * sample.scale_factor[1], shape[1] * sample.scale_factor[0])
        elif self._is_resized:
            old = sample.img_shape[:2]
        return [truth if isinstance(truth, Poses) else truth.resized(old, shape[:2]) for truth in truths]

    def _read(self, sample: Any, *, keypoints_of: Callable[[Any], Numbers]) -> list[Prediction]:
        found: list[Prediction] = []
        instances = sample.get('gt_instances')
        if (maps := sample.get('gt_sem_seg')) is not None and 'data' in maps:
            labels = _array(maps.data)[0].astype(np.int64)
            found.append(Labels(np.where(labels == self._ignore_index, IGNORED, labels)))
        if instances is not None and 'labels' in instances:
            found.append(_true_boxes(instances, sample.get('ignored_instances')))
        if instances is not None and 'keypoints' in instances:
            found.append(_true_poses(instances, keypoints_of(sample)))
        if 'gt_label' in sample:
            labels = np.atleast_1d(_array(sample.gt_label)).astype(np.int64)
            found.append(Classes(labels, np.full(len(labels), np.nan)))
        return found


def _true_boxes(instances: Any, ignored: Any) -> Boxes:
    boxes, crowds = _box_corners(instances), _box_corners(ignored)
    labels = np.concatenate([_array(instances.labels).astype(np.int64), np.full(len(crowds), IGNORED)])
    masks = _masks(instances)
    if masks is not None:
        masks = np.concatenate([masks, np.zeros((len(crowds), *masks.shape[1:]), bool)])
    return Boxes(np.concatenate([boxes, crowds]), np.full(len(labels), np.nan), labels, masks)


def _true_poses(people: Any, points: Numbers) -> Poses:
    visible = _numbers(people.keypoints_visible)
    visible = visible[..., 0] if visible.ndim == 3 else visible
    boxes = _box_corners(people) if 'bboxes' in people else None
    scores = (visible > 0).astype(np.float64)
    return Poses(points[..., :2], scores, boxes, np.full(len(points), np.nan))


def _moved_keypoints(sample: Any) -> Numbers:
    """Keypoints as mmpose's transforms moved them with the image; beside them it keeps those of the file."""
    people = sample.gt_instances
    if 'transformed_keypoints' in people:  # by TopdownAffine
        return _numbers(people.transformed_keypoints)
    points = _numbers(people.keypoints)[..., :2]
    if 'input_center' not in sample:
        return points
    # BottomupResize moves the image alone
    size, scale, centre = (np.asarray(sample.get(f'input_{name}')) for name in ('size', 'scale', 'center'))
    return (points - centre + scale / 2) / scale * size


def loads_annotations(step: Any) -> bool:
    """Whether a step of a pipeline, as its config or name, reads annotations."""
    name = type_name(step.get('type')) if isinstance(step, dict) else str(step)
    return name.startswith('Load') and 'Annotations' in name


def innermost(dataset: Any, index: int) -> tuple[Any, int]:
    """The data set, below wrappers that only choose, that a sample comes from, and its index there."""
    while hasattr(dataset, '_get_ori_dataset_idx'):
        place = dataset._get_ori_dataset_idx(index)
        if isinstance(place, tuple):
            dataset, index = dataset.datasets[place[0]], place[1]
        else:
            dataset, index = dataset.dataset, place
    return dataset, int(index)


def together(people: Sequence[Poses], *, keypoints: int) -> Poses:
    """Everybody that a top-down network found in the boxes of one image, ``keypoints`` each."""
    if not people:
        return Poses(np.zeros((0, keypoints, 2)), np.zeros((0, keypoints)), np.zeros((0, 4)), np.zeros(0))
    boxes = [each.boxes for each in people if each.boxes is not None]
    return Poses(
        np.concatenate([each.keypoints for each in people]),
        np.concatenate([each.scores for each in people]),
        np.concatenate(boxes) if boxes else None,
        np.concatenate([each.box_scores for each in people]),
    )


def _box_corners(instances: Any) -> Numbers:
    """``(n, 4)``, x1 y1 x2 y2."""
    boxes = None if instances is None else instances.get('bboxes')
    return np.zeros((0, 4)) if boxes is None else _numbers(getattr(boxes, 'tensor', boxes)).reshape(-1, 4)


def _masks(instances: Any) -> npt.NDArray[np.bool_] | None:
    masks = instances.get('masks')
    if masks is None:
        return None
    return _array(masks.to_ndarray() if hasattr(masks, 'to_ndarray') else masks).astype(bool)


def _array(values: Any) -> npt.NDArray[Any]:
    return values.detach().cpu().numpy() if hasattr(values, 'detach') else np.asarray(values)


def _numbers(values: Any) -> Numbers:
    return _array(values).astype(np.float64)
