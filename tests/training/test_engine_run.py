"""Training, testing, resuming and pictures, on models whose results are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tiny_projects as tiny
from mmengine.model import MMDistributedDataParallel
from peers import build_ours, scramble
from torch import nn

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config
from hrnet_mm.deploy import FusedHRNet
from hrnet_mm.pictures.canvas import sizes_for, text_plate
from hrnet_mm.training.hooks import InferenceFormHook
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]

#: What the toy models must score. Always saying "cat" of 3 cats and 1 dog is right in 3 of 4.
#: Telling the truth scores all there is. A box 30 x 48 moved by (4, 4) overlaps its old self by
#: 26 * 44 / (2 * 30 * 48 - 26 * 44) = 0.659: right at the thresholds 0.50, 0.55, 0.60, 0.65.
SCORES = {
    'mmpretrain': {'accuracy/top1': 75.0},
    'mmseg': {'mIoU': 100.0, 'aAcc': 100.0},
    'mmdet': {'coco/bbox_mAP': 0.4, 'coco/bbox_mAP_50': 1.0, 'coco/bbox_mAP_75': 0.0},
    'mmpose': {'coco/AP': 0.0},
}


@pytest.mark.parametrize('scope', SCORES)
def test_scores_and_pictures_of_every_scope(scope: str, project: Project, tmp_path: Path) -> None:
    cfg = load_config(project(scope), options={'train_cfg.max_epochs': 1})
    checkpoint = run_train(cfg)
    assert checkpoint == tmp_path / 'work_dirs' / f'tiny_{scope}' / 'epoch_1.pth'
    assert checkpoint.is_file()

    metrics = run_test(cfg, checkpoint, show_dir=tmp_path / 'show')
    expected = SCORES[scope]
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert all(type(value) is float for value in metrics.values())

    folder = tmp_path / 'data'
    images = {path.relative_to(folder) for path in folder.rglob('*') if path.suffix == '.jpg'}
    if scope != 'mmseg':  # which reads .jpg alone
        images |= {path.relative_to(folder) for path in folder.rglob('*.png')}
    pictures = {path.relative_to(tmp_path / 'show') for path in (tmp_path / 'show').rglob('*.*')}
    assert pictures == images
    for name in images:
        left, right = _pair(tmp_path / 'show' / name)
        assert left.shape == right.shape


def test_pose_scores_where_keypoints_are_right(project: Project) -> None:
    cfg = load_config(project('mmpose'), options={'train_cfg.max_epochs': 1, 'model.shift': 0})
    assert run_test(cfg, run_train(cfg))['coco/AP'] == pytest.approx(1.0)


def test_picture_of_the_truth_twice(project: Project, tmp_path: Path) -> None:
    """A model that predicts the truth draws the same on both sides; the left third is blue."""
    cfg = load_config(project('mmseg'), options={'train_cfg.max_epochs': 1})
    run_test(cfg, run_train(cfg), show_dir='show')
    left, right = _pair(tmp_path / 'show/images/b.jpg')
    assert np.abs(left - right)[:, 8:-8].max() <= 8  # JPEG blurs colours over the seam
    third = left.shape[1] // 3
    blue, red = left[10:-10, 8 : third - 8], left[10:-10, third + 8 : -8]
    assert blue[..., 0].min() > blue[..., 2].max() + 60
    assert red[..., 2].min() > red[..., 0].max() + 60


def test_people_of_one_image_share_a_picture(project: Project, tmp_path: Path) -> None:
    cfg = load_config(project('mmpose'), options={'train_cfg.max_epochs': 1})
    run_test(cfg, run_train(cfg), show_dir='show')
    left, right = _pair(tmp_path / 'show/images/north/a.jpg')
    for half in (left, right):
        changed = np.abs(half - 60).max(axis=(0, 2)) > 60
        middle = half.shape[1] // 2
        assert changed[:middle].any() and changed[middle:].any()
    assert np.abs(left - right).max() > 60  # predicted 4 pixels off


def test_people_found_by_a_detector_are_shown_beside_the_annotated(project: Project, tmp_path: Path) -> None:
    """Data samples of a run on ``bbox_file`` have no truth; the picture has."""
    config = project('mmpose')
    with_truth = load_config(config, options={'train_cfg.max_epochs': 1})
    checkpoint = run_train(with_truth)
    run_test(with_truth, checkpoint, show_dir='with_truth')
    boxes = str(tiny.write_detections(tmp_path / 'data'))
    detected = load_config(config, options={'test_dataloader.dataset.bbox_file': boxes})
    run_test(detected, checkpoint, show_dir='detected')
    for name in tiny.IMAGES:
        left, right = _pair(tmp_path / 'detected/images' / name)
        expected, _ = _pair(tmp_path / 'with_truth/images' / name)
        assert np.abs(left - expected)[:, 8:-8].max() <= 8
        assert np.abs(left - right).max() > 60


def test_resume_goes_on_where_training_stopped(project: Project) -> None:
    config = project('mmpretrain')
    first = run_train(load_config(config))
    assert _progress(first) == (2, 4, 4)  # 2 epochs of 2 batches

    latest = run_train(load_config(config, resume=True, options={'train_cfg.max_epochs': 3}))
    assert latest.name == 'epoch_3.pth'
    assert _progress(latest) == (3, 6, 6)

    options = {'train_cfg.max_epochs': 4}
    named = load_config(config, resume=first, work_dir='elsewhere', options=options)
    assert _progress(run_train(named)) == (4, 8, 8)


def test_without_resume_training_starts_again(project: Project) -> None:
    config = project('mmpretrain')
    run_train(load_config(config))
    again = run_train(load_config(config, options={'train_cfg.max_epochs': 1}))
    assert _progress(again) == (1, 2, 2)


def test_auto_scale_lr_scales(project: Project) -> None:
    """Batches of 2 where the rate 0.01 was tuned for 4: half the rate."""
    checkpoint = run_train(load_config(project('mmpretrain'), auto_scale_lr=True))
    state = load_file(checkpoint)
    assert state['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)


def test_two_runs_in_one_second_keep_their_logs_apart(project: Project, tmp_path: Path) -> None:
    cfg = load_config(project('mmpretrain'), options={'train_cfg.max_epochs': 1})
    for name in ('one', 'two'):
        cfg.work_dir = str(tmp_path / name)
        run_train(cfg)
        logs = list((tmp_path / name).glob('*/*.log'))
        assert len(logs) == 1
        assert logs[0].read_text().count('Saving checkpoint at 1 epochs') == 1


def test_images_without_a_file_get_pictures(project: Project, tmp_path: Path) -> None:
    """As in CIFAR, whose images are arrays; enlarged so that the class names can be read."""
    options = {
        'train_cfg.max_epochs': 1,
        'test_dataloader.dataset.pipeline.1.meta_keys': ('sample_idx', 'ori_shape'),
    }
    cfg = load_config(project('mmpretrain'), options=options)
    run_test(cfg, run_train(cfg), show_dir='show')
    pictures = sorted((tmp_path / 'show').iterdir())
    assert [path.name for path in pictures] == [f'{index:06d}.png' for index in range(4)]
    left, right = _pair(pictures[0])
    assert left.shape == right.shape


def test_nothing_saved_is_said(project: Project) -> None:
    options = {'default_hooks.checkpoint': {'type': 'CheckpointHook', 'interval': -1, 'save_last': False}}
    with pytest.raises(ConfigError, match=r'default_hooks\.checkpoint.*work_dirs/tiny_mmpretrain'):
        run_train(load_config(project('mmpretrain'), options=options))


def test_configs_are_not_changed(project: Project) -> None:
    cfg = load_config(project('mmpretrain'), options={'train_cfg.max_epochs': 1})
    before = json.dumps(cfg.to_dict())
    run_test(cfg, run_train(cfg), show_dir='show')
    assert json.dumps(cfg.to_dict()) == before


def _pair(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction without captions and legends: small images are shown at a whole multiple."""
    picture = cv2.imread(str(path)).astype(int)
    factor = -(-256 // min(tiny.HEIGHT, tiny.WIDTH))
    height, width = factor * tiny.HEIGHT, factor * tiny.WIDTH
    sizes = sizes_for(picture[:height, :width].astype(np.uint8))
    rows = picture[len(text_plate('truth', size=sizes.text)) :][:height]
    assert rows.shape[0] == height and rows.shape[1] >= 2 * width + sizes.gap
    return rows[:, :width], rows[:, width + sizes.gap :][:, :width]


def _progress(checkpoint: Path) -> tuple[int, int, int]:
    """Epochs and iterations as MMEngine counts them, and steps as the model counted them."""
    state = load_file(checkpoint)
    return state['meta']['epoch'], state['meta']['iter'], int(state['state_dict']['steps'])


def test_the_inference_form_is_tested_and_the_model_put_back() -> None:
    seen: list[object] = []
    model = scramble(build_ours()).eval()
    runner = SimpleNamespace(model=model)
    hook = InferenceFormHook()
    hook.before_test(runner)
    seen.append(runner.model)
    hook.after_test(runner)
    assert isinstance(seen[0], FusedHRNet)
    assert runner.model is model


def test_a_distributed_model_is_tested_in_inference_form() -> None:
    model = scramble(build_ours()).eval()
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    runner = SimpleNamespace(model=wrapper)
    hook = InferenceFormHook()
    hook.before_test(runner)
    assert isinstance(runner.model.module, FusedHRNet)
    hook.after_test(runner)
    assert runner.model is wrapper and wrapper.module is model


def test_two_runs_in_one_process_log_apart(project: Project, tmp_path: Path) -> None:
    """Their configs give both visualizers one name, as the packages' configs do."""
    config = project('mmpretrain')
    section = "dict(type='Visualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])"
    config.write_text(f'{config.read_text()}\nvisualizer = {section}\n')
    for folder in ('first', 'second'):
        run_train(load_config(config, work_dir=tmp_path / folder, options={'train_cfg.max_epochs': 1}))
        (log,) = (tmp_path / folder).glob('*/vis_data/scalars.json')
        assert log.read_text().count('"loss"') == 2
