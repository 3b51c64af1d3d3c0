"""``mim train``, ``test`` and ``run`` from the project root: our configs, data in the usual layouts."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.demo.dataset import generate

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.nightly


@dataclass(frozen=True)
class Job:
    """One shipped config, the options that shrink the work, and the metric its test prints."""

    codebase: str
    config: str
    options: tuple[str, ...]
    checkpoint: str
    metric: str


# Two iterations of the real models on small inputs; no network, so no ImageNet weights.
_NO_WEIGHTS = 'model.backbone.init_cfg=None'
_ONE_EPOCH = ('train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1')
JOBS = [
    Job(
        'mmseg',
        'configs/hrnetv2_w48_cityscapes.py',
        (
            _NO_WEIGHTS,
            'model.data_preprocessor.size=(64,128)',
            'train_dataloader.dataset.pipeline.2.scale=(320,192)',
            'train_dataloader.dataset.pipeline.3.crop_size=(64,128)',
            'test_dataloader.dataset.pipeline.1.scale=(320,192)',
            'train_cfg.max_iters=2',
            'default_hooks.checkpoint.interval=2',
        ),
        'iter_2.pth',
        'mIoU',
    ),
    Job(
        'mmpose',
        'configs/hrnetv1_w32_coco_256x192.py',
        (
            _NO_WEIGHTS,
            *_ONE_EPOCH,
            'train_dataloader.batch_size=4',
            'test_dataloader.batch_size=4',
            'model.test_cfg.flip_test=False',
        ),
        'epoch_1.pth',
        'AP',
    ),
    Job(
        'mmdet',
        'configs/hrnetv2p_w32_faster_rcnn_coco_1x.py',
        (
            _NO_WEIGHTS,
            *_ONE_EPOCH,
            'train_dataloader.dataset.pipeline.2.scale=(320,192)',
            'test_dataloader.dataset.pipeline.1.scale=(320,192)',
            # networks that have learnt nothing may be sure of nothing, and mmdet has no metrics without boxes
            'randomness.seed=0',
            'model.test_cfg.rcnn.score_thr=0.0',
        ),
        'epoch_1.pth',
        'bbox_mAP',
    ),
    Job('mmpretrain', 'cifar10_folder.py', _ONE_EPOCH, 'epoch_1.pth', 'accuracy/top1'),
]


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links to the project's files, as its root is, and ``data/`` with every layout."""
    place = tmp_path_factory.mktemp('project')
    (place / 'configs').symlink_to(ROOT / 'configs')
    generate(place / 'data', train=4, val=2, seed=3, progress=False)
    _write_detections(place / 'data' / 'coco')
    _write_image_folder(place / 'data' / 'folder')
    (place / 'cifar10_folder.py').write_text(_FOLDER_CONFIG)
    return place


# CIFAR-10's own files are told by checksum and can't be made up: the shipped config on a folder of images.
_FOLDER_CONFIG = """
_base_ = 'configs/hrnet_w18_small_v1_cifar10.py'
_folder = dict(
    _delete_=True,
    type='CustomDataset',
    data_root='data/folder',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
)
train_dataloader = dict(dataset=_folder)
val_dataloader = dict(dataset=_folder)
test_dataloader = val_dataloader
"""


def _write_detections(coco: Path) -> None:
    """The file of detected people that COCO's pose configs are tested with: here the truth's boxes."""
    truth = json.loads((coco / 'annotations' / 'person_keypoints_val2017.json').read_text())
    keys = ('image_id', 'category_id', 'bbox')
    detections = [{**{key: a[key] for key in keys}, 'score': 0.9} for a in truth['annotations']]
    folder = coco / 'person_detection_results'
    folder.mkdir()
    (folder / 'COCO_val2017_detections_AP_H_56_person.json').write_text(json.dumps(detections))


def _write_image_folder(folder: Path) -> None:
    """Ten classes of two random 32x32 pictures each."""
    rng = np.random.default_rng(0)
    for label in range(10):
        (folder / f'class{label}').mkdir(parents=True)
        for i in range(2):
            picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f'class{label}' / f'{i}.png'), picture)


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
def trained(workplace: Path) -> Callable[[Job], Path]:
    """Trains a job once, and says where its checkpoint is."""
    done: dict[Job, Path] = {}

    def train(job: Job) -> Path:
        if job not in done:
            work_dir = Path('work_dirs') / Path(job.config).stem
            arguments = [job.config, '--work-dir', str(work_dir), '--cfg-options', *job.options]
            _mim('train', job.codebase, *arguments, cwd=workplace)
            done[job] = work_dir / job.checkpoint
        return done[job]

    return train


@pytest.mark.parametrize('job', JOBS, ids=lambda job: job.config)
def test_mim_trains_and_tests_the_shipped_config(
    job: Job, trained: Callable[[Job], Path], workplace: Path
) -> None:
    checkpoint = trained(job)
    assert (workplace / checkpoint).is_file()
    arguments = ['--checkpoint', str(checkpoint), '--work-dir', f'work_dirs/{Path(job.config).stem}/test']
    printed = _mim('test', job.codebase, job.config, *arguments, '--cfg-options', *job.options, cwd=workplace)
    assert job.metric in printed


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


def test_mim_runs_their_counting_of_parameters(workplace: Path) -> None:
    config = 'configs/hrnetv1_w32_coco_256x192.py'
    printed = _mim('run', 'mmpose', 'get_flops', config, '--input-shape', '256', '192', cwd=workplace)
    model = build_model(load_config(ROOT / config), device='meta')
    (millions,) = re.findall(r'Params: ([0-9.]+)M', printed)
    assert float(millions) == pytest.approx(sum(p.numel() for p in model.parameters()) / 1e6, abs=6e-4)


def test_mim_runs_their_confusion_matrix(trained: Callable[[Job], Path], workplace: Path) -> None:
    """mmpretrain's: on our checkpoint, over the 20 images of 10 classes."""
    job = JOBS[-1]
    arguments = [job.config, str(trained(job)), '--out', 'matrix.pkl', '--show-path', 'matrix.png']
    _mim('run', job.codebase, 'confusion_matrix', *arguments, cwd=workplace)
    matrix = np.array(pickle.loads((workplace / 'matrix.pkl').read_bytes()))
    assert matrix.sum(axis=1).tolist() == [2] * 10
    assert cv2.imread(str(workplace / 'matrix.png')) is not None
