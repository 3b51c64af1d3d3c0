"""``mim train`` and ``mim test`` from the project root: the shipped configs, data in the usual layouts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrnet_mm.synthetic import generate

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Job:
    """One shipped config, the options that shrink the work, and the metric its test prints."""

    codebase: str
    config: str
    options: tuple[str, ...]
    checkpoint: str
    metric: str


# Two iterations of the real models on small inputs; no network, so no ImageNet weights.
_DET = (
    'train_dataloader.dataset.pipeline.2.scale=(320,192)',
    'test_dataloader.dataset.pipeline.1.scale=(320,192)',
    'train_cfg.max_epochs=1',
    'model.backbone.init_cfg=None',
)
JOBS = [
    Job(
        'mmseg',
        'configs/hrnetv2_w48_cityscapes.py',
        (
            'model.backbone.init_cfg=None',
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
            'model.backbone.init_cfg=None',
            'train_dataloader.batch_size=4',
            'train_cfg.max_epochs=1',
            'default_hooks.checkpoint.interval=1',
            'test_dataloader.batch_size=4',
            'model.test_cfg.flip_test=False',
        ),
        'epoch_1.pth',
        'AP',
    ),
    Job('mmdet', 'configs/hrnetv2p_w18_faster_rcnn_coco_1x.py', _DET, 'epoch_1.pth', 'bbox_mAP'),
    Job('mmdet', 'configs/hrnetv2p_w32_faster_rcnn_coco_1x.py', _DET, 'epoch_1.pth', 'bbox_mAP'),
    Job(
        'mmpretrain',
        'cifar10_folder.py',
        ('train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1'),
        'epoch_1.pth',
        'accuracy/top1',
    ),
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


def _mim(command: str, job: Job, arguments: list[str], *, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, '-m', 'mim', command, job.codebase, job.config, *arguments],
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '2'},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    return result.stdout + result.stderr


@pytest.mark.parametrize('job', JOBS, ids=lambda job: job.config)
def test_mim_trains_and_tests_the_shipped_config(job: Job, workplace: Path) -> None:
    work_dir = workplace / 'work_dirs' / Path(job.config).stem
    options = ['--cfg-options', *job.options]
    _mim('train', job, ['--work-dir', str(work_dir), *options], cwd=workplace)
    checkpoint = work_dir / job.checkpoint
    assert checkpoint.is_file()
    printed = _mim(
        'test',
        job,
        ['--checkpoint', str(checkpoint), '--work-dir', str(work_dir / 'test'), *options],
        cwd=workplace,
    )
    assert job.metric in printed
