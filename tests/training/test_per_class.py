"""``--per-class``: tables and confusion matrices, against the packages' metrics and against small sums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from refusal import refuses

from hrnet_mm.config.load import load_config
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels
from hrnet_mm.training.per_class import (
    average_precisions,
    class_scores,
    confusion,
    set_per_class,
    without_classes,
)
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]
SHORT = {'train_cfg.max_epochs': 1}
RANDOM = np.random.default_rng(0)

#: What the toy models of ``tiny_projects`` must score, and their confusion matrices. Boxes and keypoints
#: lie (4, 4) off: 0.659 of a box of 30 x 48 overlaps its old self, and sqrt(32) / 48 is 0.118.
THIRD = 64 * 96 // 3
EXPECTED: dict[str, tuple[dict[str, list[Any]], list[list[int]] | None]] = {
    'mmpretrain': (
        {'recall': [1.0, 0.0], 'precision': [0.75, None], 'F1': [6 / 7, 0.0], 'images': [3, 1]},
        [[3, 0], [1, 0]],
    ),
    'mmseg': (  # of three images: the fourth is no .jpg
        {
            **{name: [1.0, 1.0] for name in ('IoU', 'recall', 'precision', 'F1')},
            'pixels': [3 * 2 * THIRD, 3 * THIRD],
        },
        [[3 * 2 * THIRD, 0], [0, 3 * THIRD]],
    ),
    'mmdet': (
        {'AP bbox': [0.4], 'recall': [1.0], 'precision': [1.0], 'F1': [1.0], 'boxes': [5]},
        [[5, 0], [0, 0]],
    ),
    'mmpose': (
        {'PCK@0.05': [0.0] * 17, 'PCK@0.1': [0.0] * 17, 'PCK@0.2': [1.0] * 17, 'annotated': [5] * 17},
        None,
    ),
}


@pytest.mark.parametrize('scope', EXPECTED)
def test_every_task(scope: str, project: Project, tmp_path: Path) -> None:
    cfg = load_config(project(scope), options=SHORT)
    checkpoint = run_train(cfg)
    metrics = run_test(cfg, checkpoint, per_class='tables')
    assert metrics == run_test(cfg, checkpoint), 'the other metrics stay as they are'
    scores, matrix = EXPECTED[scope]
    record = json.loads(Path('tables/per_class.json').read_text())
    assert record['scores'] == {name: pytest.approx(values) for name, values in scores.items()}
    assert record.get('confusion_matrix') == matrix
    assert Path('tables/confusion_matrix.png').is_file() == (matrix is not None)


def test_label_maps_against_mmsegs_metric() -> None:
    from mmseg.evaluation import IoUMetric

    true, found = RANDOM.integers(0, 4, (2, 40, 50))
    found[true == 1] = 1
    true[:5] = 255
    areas = IoUMetric.intersect_and_union(torch.tensor(found), torch.tensor(true), 4, 255)
    theirs = IoUMetric.total_area_to_metrics(*areas, ['mIoU', 'mFscore'])
    matrix = confusion(Labels(np.where(true == 255, -1, true)), Labels(found), classes=4)
    scores = class_scores(matrix, Labels)
    for ours, name in (('IoU', 'IoU'), ('recall', 'Acc'), ('precision', 'Precision'), ('F1', 'Fscore')):
        np.testing.assert_allclose(scores[ours], theirs[name], rtol=1e-6)


def test_classes_against_mmpretrains_metric() -> None:
    from mmpretrain.evaluation import ConfusionMatrix, SingleLabelMetric

    true, found = RANDOM.integers(0, 5, (2, 300))
    pairs = [
        (Classes(true[i : i + 1], np.full(1, np.nan)), Classes(found[i : i + 1], np.ones(1)))
        for i in range(300)
    ]
    matrix = sum(confusion(*pair, classes=5) for pair in pairs)
    theirs = ConfusionMatrix.calculate(torch.tensor(found), torch.tensor(true), num_classes=5)
    np.testing.assert_array_equal(matrix[:-1, :-1], theirs)
    scores = class_scores(matrix, Classes)
    wanted = SingleLabelMetric.calculate(found, true, average=None, num_classes=5)
    for name, values in zip(('precision', 'recall', 'F1'), wanted, strict=False):
        np.testing.assert_allclose(100 * scores[name], values, rtol=1e-6)


def test_boxes_are_right_confused_missed_false_or_inside_a_crowd() -> None:
    def boxes(*entries: tuple[int, int, float]) -> Boxes:
        """Label, left edge and score of boxes of 10 x 10."""
        labels, left, scores = (np.array(column) for column in zip(*entries, strict=True))
        corners = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1).astype(float)
        return Boxes(corners, scores.astype(float), labels)

    true = boxes((0, 0, np.nan), (1, 20, np.nan), (1, 40, np.nan), (-1, 60, np.nan))
    found = boxes(
        (1, 0, 0.9),  # nearer to the first than the right one
        (0, 2, 0.8),  # right
        (0, 21, 0.8),  # confused
        (1, 40, 0.2),  # below the least score: missed
        (0, 61, 0.9),  # in the crowd
        (0, 80, 0.9),  # false
    )
    np.testing.assert_array_equal(confusion(true, found, classes=2), [[1, 0, 0], [1, 0, 1], [1, 1, 0]])


def test_boxes_and_masks_have_an_ap_each() -> None:
    """mmdet's metric names both ``NAME_precision``: the second would replace the first."""
    metric = {'type': 'CocoMetric', 'metric': ['bbox', 'segm'], 'ann_file': 'a.json'}
    cfg = Config({'default_scope': 'mmdet', 'test_evaluator': metric})
    set_per_class(cfg, 'tables')
    assert [(each.metric, each.prefix) for each in cfg.test_evaluator] == [
        ('bbox', 'coco bbox'),
        ('segm', 'coco segm'),
    ]
    metrics = {
        **{'coco bbox/cat_precision': 0.5, 'coco bbox/bbox_mAP': 0.5},
        **{'coco segm/cat_precision': 0.25, 'coco segm/segm_mAP': 0.25},
    }
    assert without_classes(metrics) == {'coco/bbox_mAP': 0.5, 'coco/segm_mAP': 0.25}
    found = average_precisions(metrics, ('dog', 'cat'))
    np.testing.assert_array_equal(found['AP bbox'], [np.nan, 0.5])
    np.testing.assert_array_equal(found['AP segm'], [np.nan, 0.25])


@pytest.mark.parametrize(
    ('dataset', 'key', 'expected'),
    [
        ({'bbox_file': 'a.json'}, 'test_dataloader.dataset.bbox_file', 'boxes of the truth'),
        ({'data_mode': 'bottomup'}, '--per-class', 'a top-down network'),
    ],
)
def test_people_without_a_truth_of_their_own(dataset: dict[str, Any], key: str, expected: str) -> None:
    cfg = Config({'default_scope': 'mmpose', 'test_dataloader': {'dataset': dataset}})
    refuses(lambda: set_per_class(cfg, 'tables'), key, expected)
