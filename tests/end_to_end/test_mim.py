"""``mim train``, ``test`` and ``run`` from the project root: our configs, data in the usual layouts."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_configs import read_config

from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'dev' / 'zoo'))

import layouts
from shrink import shrink

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.nightly


#: Codebase -> one of its shipped configs, and the metric that its test prints.
JOBS = {
    'mmseg': ('hrnetv2_w48_cityscapes', 'mIoU'),
    'mmpose': ('hrnetv1_w32_coco_256x192', 'AP'),
    'mmdet': ('hrnetv2p_w32_faster_rcnn_coco_1x', 'bbox_mAP'),
    'mmpretrain': ('hrnet_w18_small_v1_folder', 'accuracy/top1'),
}


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data/`` in every layout, and the configs of the jobs, made small."""
    place = tmp_path_factory.mktemp('project')
    layouts.write_data(place)
    for name, _ in JOBS.values():
        shrink(read_config(ROOT / 'configs' / f'{name}.py')).dump(place / f'{name}.py')
    return place


def _mim(command: str, codebase: str, *arguments: str, cwd: Path, python: str | Path = sys.executable) -> str:
    """Run mim, and return what it printed."""
    result = subprocess.run(
        [str(python), '-m', 'mim', command, codebase, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return result.stdout + result.stderr


@pytest.fixture(scope='module')
def trained(workplace: Path) -> Callable[[str], str]:
    """Trains the config of a codebase once, and says where its checkpoint is."""

    @cache
    def train(codebase: str) -> str:
        name, _ = JOBS[codebase]
        _mim('train', codebase, f'{name}.py', cwd=workplace)
        return (workplace / 'work_dirs' / name / 'last_checkpoint').read_text()

    return train


@pytest.mark.parametrize('codebase', JOBS)
def test_mim_trains_and_tests_a_shipped_config(
    codebase: str, trained: Callable[[str], str], workplace: Path
) -> None:
    name, metric = JOBS[codebase]
    printed = _mim('test', codebase, f'{name}.py', '--checkpoint', trained(codebase), cwd=workplace)
    assert metric in printed


# --- Our own package by name -----------------------------------------------------------------------


def test_mim_trains_and_tests_by_the_names_of_our_configs(elsewhere: Path, workplace: Path) -> None:
    """``mim train hrnet_mm NAME`` finds the config inside the package and runs our tools."""
    config = 'hrnetv2_w18_small_v1_synthetic.py'
    options = [
        '--cfg-options',
        *(f'{part}_dataloader.dataset.data_root=data/cityscapes' for part in ('train', 'val', 'test')),
        'train_dataloader.batch_size=2',
        'train_cfg.max_iters=1',
        'default_hooks.checkpoint.interval=1',
    ]
    where = {'cwd': workplace, 'python': elsewhere}
    printed = _mim('train', 'hrnet_mm', config, '--work-dir', 'work_dirs/ours', *options, **where)
    (ours,) = elsewhere.parents[1].glob('lib/python*/site-packages/hrnet_mm/.mim/tools/train.py')
    assert str(ours) in printed
    checkpoint = ['--checkpoint', 'work_dirs/ours/iter_1.pth']
    printed = _mim('test', 'hrnet_mm', config, *checkpoint, '--work-dir', 'work_dirs/ours', *options, **where)
    assert 'mIoU' in printed


# --- mim run: scripts of the codebases' tools ------------------------------------------------------


def test_mim_runs_their_counting_of_parameters() -> None:
    config = 'configs/hrnetv1_w32_coco_256x192.py'
    printed = _mim('run', 'mmpose', 'get_flops', config, '--input-shape', '256', '192', cwd=ROOT)
    model = build_model(load_config(ROOT / config), device='meta')
    (millions,) = re.findall(r'Params: ([0-9.]+)M', printed)
    assert float(millions) == pytest.approx(sum(p.numel() for p in model.parameters()) / 1e6, abs=6e-4)


def test_mim_runs_their_confusion_matrix(trained: Callable[[str], str], workplace: Path) -> None:
    """mmpretrain's, on our checkpoint."""
    config, matrix = f'{JOBS["mmpretrain"][0]}.py', ('--out', 'matrix.pkl', '--show-path', 'matrix.png')
    _mim('run', 'mmpretrain', 'confusion_matrix', config, trained('mmpretrain'), *matrix, cwd=workplace)
    found = np.array(pickle.loads((workplace / 'matrix.pkl').read_bytes()))
    assert found.sum() == 2  # images that were tested
    assert cv2.imread(str(workplace / 'matrix.png')) is not None
