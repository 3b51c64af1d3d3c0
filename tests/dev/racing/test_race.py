"""A race from data to report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from benchmarking.timer import Samples
from racing import race as racing_race
from racing.networks import TASKS
from racing.one import Result
from racing.race import Finish, Standings, run_race
from racing.report import as_markdown, draw_accuracy

from hrnet_mm.analysis import Complexity
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.pictures.canvas import write_image
from hrnet_mm.pictures.curves import read_run

TOOL = Path(__file__).resolve().parents[3] / 'tools/dev/relatives.py'
MACHINE = {'processor': 'a processor', 'cpus': 2, 'device': 'no GPU used'}


def result_of(value: float) -> Result:
    return Result(
        metrics={'mIoU': value, 'coco/AP': value},
        iterations=2,
        rate=0.05,
        training=0.2,
        waiting=0.01,
        memory=300 * 2**20,
        checkpoint='iter_2.pth',
    )


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of folders whose networks were asked to train; U-Net's fails."""
    names: list[str] = []

    def train(cfg, race):
        folder = Path(cfg.work_dir)
        names.append(folder.name)
        if folder.name != 'U-Net':
            (folder / 'result.json').write_text(json.dumps(vars(result_of(len(names)))))

    def times(configs, results, shape, device):
        return {name: Samples((0.1, 0.3, 0.2)) for name in results}

    monkeypatch.setattr(racing_race, '_run_in_a_process', train)
    monkeypatch.setattr(racing_race, '_times', times)
    return names


def test_who_finished_is_not_trained_again_and_who_failed_is(make_race, trained):
    race = make_race('segmentation', only=('HRNetV2', 'U-Net', 'PSPNet'))
    standings = run_race(race)
    assert trained == ['HRNetV2', 'U-Net', 'PSPNet'] and standings.failed == ('U-Net, 16 channels',)
    assert [row.score for row in standings.finishes] == [1, 3]
    assert standings.shape == (192, 320) and standings.batch == 8
    run_race(race)
    assert trained[3:] == ['U-Net']


def test_other_settings_in_the_same_folder_are_refused(make_race, trained):
    run_race(make_race('pose', only=('HRNetV1',)))
    with pytest.raises(ConfigError, match=r'--out = .*: expected a folder without another race'):
        run_race(make_race('pose', only=('HRNetV1',), seed=1))


def standings_of(scores: dict[str, float]) -> Standings:
    size = Complexity(2_500_000, 0, 3 * 2**30, 3 * 2**30, None, auxiliary_params=500_000)
    finishes = tuple(
        Finish(
            name=name,
            is_ours=name.startswith('HRNet'),
            score=score,
            result=result_of(score),
            size=size,
            inference=Samples((0.1, 0.3, 0.2)),
        )
        for name, score in scores.items()
    )
    return Standings(finishes=finishes, failed=(), shape=(64, 96), batch=8)


def test_the_table_says_what_was_measured(make_race, tmp_path):
    race, standings = make_race('pose'), standings_of({'HRNetV1-W32': 0.71234, 'Hourglass': 0.6})
    page = as_markdown(race, standings, machine=MACHINE)
    assert page.startswith('## Pose, 2 iterations, 8 images a step, from random weights\n')
    assert 'seed 0, a processor, 2 cores' in page and 'one image of 64x96' in page
    assert '| **HRNetV1-W32** | 0.712 | 2.00 | 3.00 | 200 | 1% | 200 | 300 | 2 | 0.05 |\n' in page
    draw_accuracy(tmp_path / 'accuracy.png', race, standings)
    assert cv2.imread(str(tmp_path / 'accuracy.png')).std() > 5


@pytest.fixture
def race_by_tool(drawn, tmp_path):
    """Start the tool on one thread."""

    def start(task: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(TOOL), task, '--data', str(drawn), '--out', str(tmp_path / 'race')]
        threads = {**os.environ, 'OMP_NUM_THREADS': '1'}
        return subprocess.Popen([*command, *arguments], env=threads, text=True, stderr=subprocess.PIPE)

    return start


@pytest.mark.nightly
@pytest.mark.parametrize('ablation', [False, True])
@pytest.mark.parametrize('task', ['segmentation', 'pose', 'detection'])
def test_every_network_trains_and_is_tested(race_by_tool, tmp_path, task, ablation):
    arguments = ['--ablation'] if ablation else []
    tool = race_by_tool(task, '--budget-iters', '2', *arguments)
    assert tool.communicate() and tool.returncode == 0
    networks = TASKS[task].ablation if ablation else TASKS[task].networks
    record = json.loads((tmp_path / 'race/results.json').read_text())
    assert [row['name'] for row in record['finishes']] == [each.small.label for each in networks]
    for row in record['finishes']:
        assert row['result']['iterations'] == 2 and row['result']['training'] > 0 and row['score'] >= 0
        assert 200 * 2**20 < row['result']['memory'] < 8 * 2**30
    page = cv2.imread(str(tmp_path / 'race/examples.png'))
    assert page.shape[1] > (1 + len(networks)) * 320


@pytest.mark.nightly
def test_classes_in_folders_race_too(tmp_path):
    rng = np.random.default_rng(0)
    for name, shade in (('dark', 60), ('light', 190)):
        for number in range(10):
            image = rng.normal(shade, 20, (64, 64, 3)).clip(0, 255).astype(np.uint8)
            write_image(tmp_path / 'data' / name / f'{number}.png', image)
    command = [sys.executable, str(TOOL), 'classification', '--data', str(tmp_path / 'data')]
    subprocess.run([*command, '--budget-iters', '2', '--out', str(tmp_path / 'race')], check=True)
    record = json.loads((tmp_path / 'race/results.json').read_text())
    assert [row['name'] for row in record['finishes']] == ['HRNet-W18-small-v1-C', 'ResNet-50']


@pytest.mark.nightly
def test_a_killed_race_goes_on_where_it_was(race_by_tool, tmp_path):
    arguments = ('segmentation', '--only', 'HRNetV2', '--budget-iters', '20')
    tool, folder = race_by_tool(*arguments), tmp_path / 'race/HRNetV2'
    while not list(folder.glob('iter_*.pth')):
        assert tool.poll() is None
        time.sleep(0.2)
    tool.send_signal(signal.SIGTERM)
    tool.communicate()
    assert tool.returncode == 143 and not (folder / 'result.json').exists()
    again = race_by_tool(*arguments)
    assert again.communicate() and again.returncode == 0
    run = read_run(folder)
    assert run.logs == 2 and [point.iteration for point in run.curves['loss']] == list(range(1, 21))
    last = max(folder.glob('*/vis_data/scalars.json'))
    assert len(last.read_text().splitlines()) < 20


@pytest.mark.nightly
def test_minutes_become_iterations_once(race_by_tool, tmp_path):
    arguments = ('segmentation', '--only', 'HRNetV2', '--budget-minutes', '0.1')
    tool = race_by_tool(*arguments)
    assert tool.communicate() and tool.returncode == 0
    folder = tmp_path / 'race/HRNetV2'
    length, result = (json.loads((folder / f'{name}.json').read_text()) for name in ('length', 'result'))
    assert length == result['iterations'] >= 1
