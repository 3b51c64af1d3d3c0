"""The demo: its table and its pieces quickly, its whole way in a few iterations."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tool_runs import in_process

from hrnet_mm.demo import DEMO_TASKS, DemoResult
from hrnet_mm.demo.run import format_results, write_overview

NAMES = ['pose', 'segmentation', 'detection']


def test_the_table_has_a_row_per_result_with_value_and_time() -> None:
    table = format_results([DemoResult(task=DEMO_TASKS[0], value=0.71234, seconds=61.4)])
    header, row = table.splitlines()
    assert header.split() == ['task', 'metric', 'value', 'aim', 'time']
    assert row.startswith('pose ') and row.endswith('0.712  0.7  61 s')


def test_the_overview_tiles_the_same_scenes_of_all_tasks(tmp_path: Path) -> None:
    for task, colour in (('a', 40), ('b', 200)):
        (tmp_path / task).mkdir()
        for i in range(6):
            picture = np.full((20, 60, 3), colour + i, np.uint8)
            cv2.imwrite(str(tmp_path / task / f'{i}.png'), picture)
    folders = {'a': tmp_path / 'a', 'b': tmp_path / 'b'}
    overview = cv2.imread(str(write_overview(tmp_path / 'all.png', folders, rows=3)))
    for colour in (40, 42, 44, 200, 202, 204):
        assert np.count_nonzero((overview == colour).all(axis=2)) >= 20 * 60


@pytest.mark.nightly
def test_whole_demo_in_three_iterations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Untrained, but through all of it: drawing, training, real metrics, table and picture."""
    arguments = ['--out', tmp_path, '--train', 16, '--val', 4, '--iterations', 3]
    assert in_process('demo.py', *arguments, monkeypatch=monkeypatch) == 0
    output = capsys.readouterr().out
    table = output[output.rindex('task ') :]
    assert [line.split()[0] for line in table.splitlines()[1:4]] == NAMES
    overview = cv2.imread(str(tmp_path / 'overview.png'))
    assert overview.shape[1] > 3 * 2 * 320
