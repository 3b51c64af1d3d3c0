"""The README's "On your own COCO-format data", on four real COCO images where they can be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = Path(os.environ.get('HRNET_MM_COCO_MINI', ROOT.parent / 'shared' / 'coco-mini'))

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not IMAGES.is_dir(), reason=f'needs the four COCO images in {IMAGES} (or HRNET_MM_COCO_MINI)'
    ),
]


#: A config, the checkpoint its training ends with, and the metric and the value it has to reach.
CHECKS = [
    ('hrnetv1_w18_small_v1_own_coco', 'epoch_40.pth', 'coco/AP', 0.95),
    ('hrnetv2_w18_small_v1_own_masks', 'iter_70.pth', 'mIoU', 93.0),
    ('hrnetv2p_w18_small_v1_faster_rcnn_own_coco', 'epoch_70.pth', 'coco/bbox_mAP', 0.8),
]


def _python(*arguments: object) -> None:
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]


@pytest.fixture(scope='module')
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images and annotations, with label maps made from the polygons."""
    folder = tmp_path_factory.mktemp('own')
    for file in IMAGES.iterdir():
        (folder / file.name).symlink_to(file)
    _python('tools/coco_to_masks.py', folder / 'person_keypoints.json', folder / 'masks')
    return folder


@pytest.mark.parametrize(('name', 'checkpoint', 'metric', 'at_least'), CHECKS)
def test_four_images_are_learnt(
    name: str, checkpoint: str, metric: str, at_least: float, own: Path, tmp_path: Path
) -> None:
    config, trained = f'configs/{name}.py', tmp_path / 'train'
    seed = ('--cfg-options', 'randomness.seed=0')  # unseeded, keypoint AP 0.898 was seen once
    _python('tools/train.py', config, '--data-root', own, '--work-dir', trained, *seed)
    where = ('--data-root', own, '--work-dir', tmp_path / 'test')
    out = ('--out', tmp_path / 'metrics.json', '--show-dir', tmp_path / 'pictures')
    _python('tools/test.py', config, trained / checkpoint, *where, *out)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())['metrics']
    assert metrics[metric] >= at_least
    assert len(list((tmp_path / 'pictures').rglob('*.jpg'))) == 4
