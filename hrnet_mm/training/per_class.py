"""``test.py --per-class``: how each class, or each keypoint, is predicted, and which ones are confused."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..config.errors import ConfigError
from ..config.paths import iter_datasets, type_name
from ..pictures.metadata import IGNORED, metadata_of
from ..pictures.predictions import (
    Boxes,
    Classes,
    Labels,
    Numbers,
    Poses,
    Prediction,
    TruthReader,
    prediction_of,
    together,
)
from ..registry import HOOKS
from ..utils import text_table

TABLE, MATRIX, PICTURE, RECORD = (
    'per_class.csv',
    'confusion_matrix.csv',
    'confusion_matrix.png',
    'per_class.json',
)
#: Boxes below the score are left out of the confusion matrix; of an object is a box that overlaps it so far.
LEAST_SCORE, LEAST_OVERLAP = 0.3, 0.5
_BACKGROUND = 'background'
#: What is told of each class: of boxes beside COCO's AP.
_COLUMNS: Final[Mapping[type, tuple[str, ...]]] = {
    Labels: ('IoU', 'recall', 'precision', 'F1'),
    Classes: ('recall', 'precision', 'F1'),
    Boxes: ('recall', 'precision', 'F1'),
}
_COUNTED: Final[Mapping[type, str]] = {Labels: 'pixels', Classes: 'images', Boxes: 'boxes'}
_PCK_THRESHOLDS = (0.05, 0.1, 0.2)  # of the longer side of a person's box
_AP_TYPES = ('bbox', 'segm')
_CLASS_AP = re.compile(rf'.* (?P<type>{"|".join(_AP_TYPES)})/(?P<name>.*)_precision')

Matrix = npt.NDArray[np.int64]


@HOOKS.register_module()
class PerClassHook(Hook):
    """Compare each test image's prediction with its truth, and write tables of classes or keypoints.

    Args:
        out_dir: Folder for ``per_class.csv`` and ``per_class.json``, and except for pose
            ``confusion_matrix.csv`` and ``confusion_matrix.png``: rows are true classes, columns predicted
            ones. Of boxes the last row and column are the background: what was found where nothing is, and
            what was missed.
    """

    priority = 'LOWEST'

    def __init__(self, *, out_dir: str) -> None:
        self._out = Path(out_dir)

    def before_test_epoch(self, runner: Runner) -> None:
        """Get ready to count."""
        dataset = runner.test_dataloader.dataset
        self._scope = str(runner.default_scope.scope_name)
        self._names = metadata_of(dataset.metainfo, scope=self._scope).names
        self._truths = TruthReader(dataset)
        self._images, self._seen = len(dataset), 0
        self._kind: type = Poses
        self._matrix = np.zeros((len(self._names) + 1,) * 2, np.int64)
        self._people: list[tuple[Poses, Poses]] = []

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Count a batch."""
        for sample in outputs or ():
            place = self._seen * get_world_size() + get_rank()
            self._seen += 1
            if place < self._images:  # samplers repeat images until all processes have as many
                self._add(sample)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Bring the counts of all processes together, and write them."""
        gathered = all_gather_object((self._matrix, self._people))
        if not is_main_process():
            return
        if self._kind is Poses:
            self._write(keypoint_scores(list(chain.from_iterable(people for _, people in gathered))))
            return
        matrix = sum(each for each, _ in gathered)
        scores = {**average_precisions(metrics or {}, self._names), **class_scores(matrix, self._kind)}
        self._write(scores, matrix if self._kind is Boxes else matrix[:-1, :-1])

    def _add(self, sample: Any) -> None:
        prediction = prediction_of(sample, scope=self._scope)
        truths = self._truths.on_image(sample)
        truth = next((each for each in truths if type(each) is type(prediction)), None)
        if truth is None:
            raise ConfigError(
                '--per-class', sample.get('img_path'), expected='a test pipeline that loads the annotations'
            )
        self._kind = type(prediction)
        if isinstance(prediction, Poses) and isinstance(truth, Poses):
            self._people.append((truth, prediction))
        else:
            self._matrix += confusion(truth, prediction, classes=len(self._names))

    def _write(self, scores: Mapping[str, npt.NDArray[Any]], matrix: Matrix | None = None) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        columns = [list(map(_spelled, values)) for values in scores.values()]
        _write_rows(self._out / TABLE, [('name', *scores), *zip(self._names, *columns, strict=True)])
        values = {
            name: [value if math.isfinite(value) else None for value in each.tolist()]
            for name, each in scores.items()
        }
        record: dict[str, Any] = {'names': self._names, 'scores': values}
        if matrix is not None:
            labels = [*self._names, _BACKGROUND][: len(matrix)]
            rows = [(name, *row) for name, row in zip(labels, matrix.tolist(), strict=True)]
            _write_rows(self._out / MATRIX, [('truth', *labels), *rows])
            record['confusion_matrix'] = matrix.tolist()
            from ..pictures.confusion import draw_confusion  # matplotlib, which runs do without

            draw_confusion(matrix, labels).savefig(self._out / PICTURE, dpi=100)
        (self._out / RECORD).write_text(json.dumps(record, indent=1) + '\n', encoding='utf-8')


def set_per_class(cfg: Config, out_dir: str | Path) -> None:
    """Let a config's test write tables of classes or keypoints, in place.

    Raises:
        ConfigError: if it tests pose without true boxes, so that nobody's keypoints are known.
    """
    for key, dataset in iter_datasets(cfg, stages=('test',)):
        if dataset.get('bbox_file'):
            expected = f'boxes of the truth for --per-class: --cfg-options {key}.bbox_file=None'
            raise ConfigError(f'{key}.bbox_file', dataset['bbox_file'], expected=expected)
        if dataset.get('data_mode') == 'bottomup':
            raise ConfigError(
                '--per-class', 'bottomup', expected='a top-down network, with a box for each person'
            )
    if cfg.default_scope == 'mmdet':
        evaluator = cfg.test_evaluator
        metrics = evaluator if isinstance(evaluator, list) else [evaluator]
        cfg.test_evaluator = [part for metric in metrics for part in _by_type(metric)]
    hook = {'type': 'hrnet_mm.PerClassHook', 'out_dir': str(out_dir)}
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def _by_type(metric: Mapping[str, Any]) -> list[dict[str, Any]]:
    """mmdet's COCO metric once for boxes and once for masks: of both at once it keeps one AP for a class."""
    types = metric.get('metric', 'bbox')
    types = [types] if isinstance(types, str) else types
    split = [each for each in types if each in _AP_TYPES]
    # with other thresholds it looks for AP75 of a class in vain
    if type_name(metric.get('type')) != 'CocoMetric' or metric.get('iou_thrs') is not None or not split:
        return [dict(metric)]
    prefix = metric.get('prefix', 'coco')
    parts = [{**metric, 'metric': each, 'classwise': True, 'prefix': f'{prefix} {each}'} for each in split]
    others = [each for each in types if each not in split]
    return [*parts, *([{**metric, 'metric': others}] if others else [])]


def without_classes(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of a test that ``set_per_class`` prepared, under the names that they have without it."""
    kept = {name: value for name, value in metrics.items() if not _CLASS_AP.fullmatch(name)}
    return {re.sub(rf' ({"|".join(_AP_TYPES)})/', '/', name): value for name, value in kept.items()}


def average_precisions(metrics: Mapping[str, Any], names: Sequence[str]) -> dict[str, Numbers]:
    """``AP bbox`` and ``AP segm``, ``(C,)`` each, as mmdet's metric says; NaN of absent classes."""
    found: dict[str, Numbers] = {}
    for name, value in metrics.items():
        if (match := _CLASS_AP.fullmatch(name)) and match['name'] in names:
            column = found.setdefault(f'AP {match["type"]}', np.full(len(names), np.nan))
            column[names.index(match['name'])] = value
    return found


def class_scores(matrix: Matrix, kind: type) -> dict[str, npt.NDArray[Any]]:
    """What a confusion matrix says of each class, from 0 to 1; NaN where there is nothing to divide by.

    Args:
        matrix: ``(C + 1, C + 1)``, true classes as rows and predicted ones as columns, background last.
        kind: Of prediction: its columns are given, and the number of true pixels, images or boxes.
    """
    right, true, found = np.diag(matrix)[:-1], matrix.sum(1)[:-1], matrix.sum(0)[:-1]
    with np.errstate(divide='ignore', invalid='ignore'):
        scores = {
            'IoU': right / (true + found - right),
            'recall': right / true,
            'precision': right / found,
            'F1': 2 * right / (true + found),
        }
    return {**{name: scores[name] for name in _COLUMNS[kind]}, _COUNTED[kind]: true}


def keypoint_scores(people: Sequence[tuple[Poses, Poses]]) -> dict[str, npt.NDArray[Any]]:
    """Of each keypoint the share that lies near the truth (PCK), and how often it is annotated.

    Args:
        people: Truth and prediction, person by person.
    """
    from mmpose.evaluation.functional import keypoint_pck_accuracy

    truth, found = (together(each, keypoints=0) for each in zip(*people, strict=True))
    assert truth.boxes is not None
    sides = (truth.boxes[:, 2:] - truth.boxes[:, :2]).max(axis=1)
    seen, norm = truth.scores > 0, np.stack([sides, sides], axis=1)
    scores: dict[str, npt.NDArray[Any]] = {}
    for threshold in _PCK_THRESHOLDS:
        share, *_ = keypoint_pck_accuracy(found.keypoints, truth.keypoints, seen, threshold, norm)
        scores[f'PCK@{threshold:g}'] = np.where(share < 0, np.nan, share)
    return {**scores, 'annotated': seen.sum(axis=0)}


def confusion(truth: Prediction, found: Prediction, *, classes: int) -> Matrix:
    """``(C + 1, C + 1)``: how often which class was predicted as which in one image, background last."""
    if isinstance(truth, Boxes) and isinstance(found, Boxes):
        true, predicted = _matched_labels(truth, found.with_score(LEAST_SCORE), background=classes)
    elif isinstance(truth, Classes) and isinstance(found, Classes):
        true, predicted = truth.labels[:1], found.labels[:1]
    else:
        assert isinstance(truth, Labels) and isinstance(found, Labels)
        true, predicted = truth.labels.ravel(), found.labels.ravel()
    size = classes + 1
    kept = (true >= 0) & (true < size) & (predicted < size)
    return np.bincount(true[kept] * size + predicted[kept], minlength=size**2).reshape(size, size)


def _matched_labels(
    truth: Boxes, found: Boxes, *, background: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Labels of pairs: each object with the box that overlaps it most, those of its class first."""
    from mmdet.evaluation.functional import bbox_overlaps
    from scipy.optimize import linear_sum_assignment

    crowds, objects = truth.labels == IGNORED, truth.labels != IGNORED
    true = truth.labels[objects]
    overlap = bbox_overlaps(truth.boxes[objects], found.boxes)
    same = true[:, None] == found.labels
    gain = (overlap + same) * (overlap >= LEAST_OVERLAP)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    rows, columns = rows[gain[rows, columns] > 0], columns[gain[rows, columns] > 0]
    # of boxes, not of crowds: a box inside a crowd is neither right nor wrong
    inside = bbox_overlaps(found.boxes, truth.boxes[crowds], mode='iof').max(axis=1, initial=0)
    false = np.setdiff1d(np.flatnonzero(inside < LEAST_OVERLAP), columns)
    missed = np.setdiff1d(np.arange(len(true)), rows)
    return (
        np.concatenate([true[rows], true[missed], np.full(len(false), background)]),
        np.concatenate([found.labels[columns], np.full(len(missed), background), found.labels[false]]),
    )


def per_class_table(out_dir: str | Path) -> str:
    """The table that a test has written, as aligned text."""
    with (Path(out_dir) / TABLE).open(encoding='utf-8', newline='') as file:
        return text_table(list(csv.reader(file)))


def _write_rows(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    with path.open('w', encoding='utf-8', newline='') as file:
        csv.writer(file).writerows(rows)


def _spelled(value: float | int) -> str:
    return str(value) if np.issubdtype(type(value), np.integer) else f'{value:.4f}'
