"""The demo: its table and its pieces quickly, its whole way in a few iterations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrnet_mm.demo import TASKS, Result
from hrnet_mm.demo.picture import write_overview
from hrnet_mm.demo.run import format_table

ROOT = Path(__file__).resolve().parents[2]


def test_every_task_names_a_config_that_exists() -> None:
    assert [t.name for t in TASKS] == ['pose', 'segmentation', 'detection']
    assert all((ROOT / 'configs' / t.config).is_file() for t in TASKS)


def test_table_has_a_row_per_result_with_value_and_time() -> None:
    table = format_table([Result(task=TASKS[0], value=0.71234, seconds=61.4)])
    assert table.splitlines()[0].split() == ['task', 'metric', 'value', 'aim', 'time']
    assert table.splitlines()[-1].startswith('pose')
    assert '0.712' in table
    assert '61 s' in table


def test_overview_tiles_the_same_scenes_of_all_tasks(tmp_path: Path) -> None:
    for task, colour in (('a', 40), ('b', 200)):
        for i in range(6):
            path = tmp_path / task / f'{i}.png'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), np.full((20, 60, 3), colour, np.uint8))
    folders = {'a': tmp_path / 'a', 'b': tmp_path / 'b'}
    overview = cv2.imread(str(write_overview(tmp_path / 'all.png', folders, rows=3)))
    assert np.count_nonzero((overview == 40).all(axis=2)) >= 3 * 20 * 60
    assert np.count_nonzero((overview == 200).all(axis=2)) >= 3 * 20 * 60


def test_overview_of_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='no pictures'):
        write_overview(tmp_path / 'all.png', {'a': tmp_path})


@pytest.mark.slow
def test_whole_demo_in_three_iterations(tmp_path: Path) -> None:
    """Untrained, but through all of it: drawing, training, real metrics, table and picture."""
    command = [sys.executable, ROOT / 'tools' / 'demo.py', '--out', tmp_path, '--train', 16, '--val', 4]
    result = subprocess.run(
        [*map(str, command), '--iterations', '3'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    table = result.stdout[result.stdout.rindex('task ') :]
    assert [line.split()[0] for line in table.splitlines()[2:5]] == [t.name for t in TASKS]
    overview = cv2.imread(str(tmp_path / 'overview.png'))
    assert overview.shape[1] > 3 * 2 * 320


def test_bad_number_of_iterations_is_named(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tools' / 'demo.py'), '--out', str(tmp_path), '--iterations', '0'],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 2
    assert "--iterations: '0'" in result.stderr
    assert 'Traceback' not in result.stderr
