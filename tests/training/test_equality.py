"""Two processes do what one does with the double batch: weights, metrics, tables of classes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from children import Child
from jobs import SECONDS, pair
from peers import assert_close
from tasks import KEPT, odd_test, training, write_tasks

from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.nightly

TASKS = ('pose', 'segmentation', 'detection')
#: Task -> error in float64, relative to each tensor's largest magnitude: sums over the batch are taken in
#: another order. mmdet adds float32's smallest step, 1.2e-7, to each count that it divides by.
TOLERANCES = {'pose': 1e-9, 'segmentation': 1e-9, 'detection': 1e-6}

Results = Mapping[str, Mapping[str, Any]]


def _everything(place: Path, *, launcher: str, batch_size: int) -> Results:
    """Of each task: weights, metrics of its test, and the checkpoint that was returned."""
    results: dict[str, dict[str, Any]] = {}
    for task in TASKS:
        os.chdir(place / task)
        last = run_train(training(task, launcher=launcher, batch_size=batch_size))
        results[task] = {**KEPT, 'last': last.name}
        tables = Path(f'{launcher}_tables_{os.environ.get("RANK")}')
        results[task]['metrics'] = run_test(odd_test(task, launcher=launcher), _blank(), per_class=tables)
        record = tables / 'per_class.json'
        results[task]['tables'] = json.loads(record.read_text()) if record.exists() else None
    return results


def _blank() -> Path:
    """A checkpoint for a model that has nothing to learn."""
    path = Path(f'blank_{os.getpid()}.pth').absolute()
    torch.save({'state_dict': {'weight': torch.ones(())}}, path)
    return path


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('tasks')
    write_tasks(folder)
    return folder


@pytest.fixture(scope='module')
def one(place: Path) -> Results:
    """One process with batches of four."""
    return Child(lambda: _everything(place, launcher='none', batch_size=4)).result(seconds=SECONDS)


@pytest.fixture(scope='module')
def two(place: Path) -> list[Results]:
    """Two with batches of two."""
    return pair(lambda: _everything(place, launcher='pytorch', batch_size=2))


@pytest.mark.parametrize('task', TASKS)
def test_weights_after_twenty_steps(task: str, one: Results, two: list[Results]) -> None:
    start, end = one[task]['start'], one[task]['end']
    moved = sorted((end[name] - start[name]).abs().max() / end[name].abs().max() for name in start)
    assert moved[len(moved) // 10] > 100 * TOLERANCES[task]  # FCOS's scales of levels without people stay
    for results in two:
        assert_close(results[task]['end'], end, rel=TOLERANCES[task], what='weight')
        assert results[task]['last'] == one[task]['last'] == 'iter_20.pth'


@pytest.mark.parametrize('task', TASKS)
def test_metrics_on_an_odd_number_of_samples(task: str, one: Results, two: list[Results]) -> None:
    metrics = one[task]['metrics']
    for results in two:
        assert results[task]['metrics'] == metrics
    main = metrics[{'pose': 'coco/AP', 'segmentation': 'mIoU', 'detection': 'coco/bbox_mAP'}[task]]
    assert 0 < main < (100 if task == 'segmentation' else 1)
    tables = one[task]['tables']
    assert tables['scores'] and ('confusion_matrix' in tables) == (task != 'pose')
    assert [results[task]['tables'] for results in two] == [tables, None], 'written once'
