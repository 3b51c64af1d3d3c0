"""Test-time augmentation: the mirrored image gets the mirrored result; weights arrive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_projects as tiny
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from refusal import refuses
from small_networks import WIDTH, Networks, write_scene

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.inference.tta import set_tta
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels, Prediction, prediction_of
from hrnet_mm.training.run import run_test

pytestmark = pytest.mark.nightly


def predicted(cfg: Config, image: str, *, checkpoint: str) -> Prediction:
    scope = str(cfg.default_scope)
    steps = [s for s in cfg.test_dataloader.dataset.pipeline if s['type'] != 'LoadAnnotations']
    for step in steps:
        if step['type'] == 'TestTimeAug':
            step['transforms'] = [each for each in step['transforms'] if each[0]['type'] != 'LoadAnnotations']
    model: Any = build_model(cfg)
    model.module.load_state_dict(load_file(checkpoint)['state_dict'])
    with DefaultScope.overwrite_default_scope(scope):
        data = Compose(steps)({'img_path': image, 'img_id': 0})
        (sample,) = model.test_step(pseudo_collate([data]))
    return prediction_of(sample, scope=scope)


@pytest.mark.parametrize('task', ['segmentation', 'detection', 'classification'])
def test_a_mirrored_image_gets_the_mirrored_result(
    task: str, network: Networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = network(task)
    write_scene(Path('a.png'))
    cv2.imwrite('b.png', cv2.imread('a.png')[:, ::-1])
    found: list[Any] = []
    for image in ('a.png', 'b.png'):
        cfg = load_config(files.config)
        set_tta(cfg, True)
        found.append(predicted(cfg, image, checkpoint=files.checkpoint))
    one, other = found
    match one:
        case Labels():
            assert (one.labels == other.labels[:, ::-1]).mean() > 0.99 and np.ptp(one.labels)
        case Boxes():
            x1, y1, x2, y2 = other.boxes[:5].T
            np.testing.assert_allclose(one.boxes[:5], np.stack([WIDTH - x2, y1, WIDTH - x1, y2], 1), atol=0.5)
        case Classes():
            np.testing.assert_allclose(one.scores, other.scores, rtol=1e-3)


def test_runs_load_their_weights_and_pose_is_flipped(network: Networks, own_folder: Path) -> None:
    """The truth is neither flipped nor resized, wherever the pipeline loads it."""
    tiny.write_masks(own_folder)
    metrics = []
    for enabled, last in ((False, True), (True, True), (True, False)):
        cfg = load_config(network('segmentation').config, work_dir='work')
        data = {'img_path': 'images', 'seg_map_path': 'masks'}
        cfg.test_dataloader.dataset.update(data_root=str(own_folder), ann_file='', data_prefix=data)
        cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
        steps = cfg.test_dataloader.dataset.pipeline
        cfg.test_dataloader.dataset.pipeline = steps if last else [steps[0], steps[2], steps[1], steps[3]]
        set_tta(cfg, enabled)
        metrics.append(run_test(cfg, network('segmentation').checkpoint, per_class='tables')['mIoU'])
        record = json.loads(Path('tables/per_class.json').read_text())
        assert metrics[-1] == pytest.approx(100 * np.mean(record['scores']['IoU']), abs=0.01)
    assert metrics[0] > 0 and abs(metrics[0] - metrics[1]) < 40
    assert metrics[1] == metrics[2] != metrics[0]
    cfg = load_config(network('pose').config)
    for enabled in (True, False):
        set_tta(cfg, enabled)
        assert cfg.model.test_cfg.flip_test is enabled


def test_masks_are_not_lost() -> None:
    model = {'type': 'MaskRCNN', 'roi_head': {'type': 'StandardRoIHead', 'mask_head': {}}}
    refuses(
        lambda: set_tta(Config({'default_scope': 'mmdet', 'model': model}), True), '--tta', 'without masks'
    )
