"""Training, testing, resuming and pictures, on models whose results are known beforehand."""

from __future__ import annotations

import gc
import json
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_projects as tiny
import torch
from refusal import refuses

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.load import load_config
from hrnet_mm.inference.tta import set_tta
from hrnet_mm.pictures.canvas import sizes_for, text_plate
from hrnet_mm.training.run import as_floats, metrics_table, run_test, run_train, write_metrics

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]
SHORT = {'train_cfg.max_epochs': 1}

#: What the toy models must score. Always saying "cat" of 3 cats and 1 dog is right in 3 of 4.
#: Telling the truth scores all there is. A box 30 x 48 moved by (4, 4) overlaps its old self by
#: 26 * 44 / (2 * 30 * 48 - 26 * 44) = 0.659: right at the thresholds 0.50, 0.55, 0.60, 0.65.
SCORES = {
    'mmpretrain': {'accuracy/top1': 75.0},
    'mmseg': {'mIoU': 100.0, 'aAcc': 100.0},
    'mmdet': {'coco/bbox_mAP': 0.4, 'coco/bbox_mAP_50': 1.0, 'coco/bbox_mAP_75': 0.0},
    'mmpose': {'coco/AP': 1.0},
}


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'type': 'RepeatDataset', 'time': 2}, "unexpected keyword argument 'time'"),
        ({'type': 'CocoDataset', 'indices': 0}, 'it lists no sample'),
    ],
)
def test_data_sets_that_cannot_be_built_are_one_line(
    options: dict[str, Any], reason: str, project: Project
) -> None:
    cfg = load_config(project('mmdet'), options=SHORT)
    part = cfg.train_dataloader.dataset
    wraps = options['type'] == 'RepeatDataset'
    cfg.train_dataloader.dataset = {**options, 'dataset': part} if wraps else {**part, **options}
    refuses(lambda: run_train(cfg), f"train_dataloader.dataset = '{options['type']}'", reason)
    cfg.val_evaluator.metric = 'mAP'
    cfg.train_dataloader.dataset = part
    refuses(lambda: run_train(cfg), 'val_evaluator', 'metrics that can be built', 'but got mAP')


@pytest.mark.parametrize('scope', SCORES)
def test_scores_and_pictures_of_every_scope(scope: str, project: Project, tmp_path: Path) -> None:
    options = SHORT | ({'model.shift': 0} if scope == 'mmpose' else {})
    cfg = load_config(project(scope), options=options)
    before = json.dumps(cfg.to_dict())
    checkpoint = run_train(cfg)
    assert checkpoint == tmp_path / 'work_dirs' / f'tiny_{scope}' / 'epoch_1.pth'
    assert checkpoint.is_file()

    metrics = run_test(cfg, checkpoint, show_dir=tmp_path / 'show')
    expected = SCORES[scope]
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert all(type(value) is float for value in metrics.values())
    assert json.dumps(cfg.to_dict()) == before, 'configs are not changed'

    data, show = tmp_path / 'data', tmp_path / 'show'
    suffixes = {'.jpg'} if scope == 'mmseg' else {'.jpg', '.png'}  # mmseg reads .jpg alone
    images = {path.relative_to(data) for path in data.rglob('*.*') if path.suffix in suffixes}
    assert {path.relative_to(show) for path in show.rglob('*.*')} == images


def test_people_share_a_picture_be_they_annotated_or_detected(project: Project, tmp_path: Path) -> None:
    """Data samples of a run on ``bbox_file`` have no truth; the picture has."""
    config = project('mmpose')
    with_truth = load_config(config, options=SHORT)
    checkpoint = run_train(with_truth)
    run_test(with_truth, checkpoint, show_dir='with_truth')
    boxes = str(tiny.write_detections(tmp_path / 'data'))
    detected = load_config(config, options={'test_dataloader.dataset.bbox_file': boxes})
    run_test(detected, checkpoint, show_dir='detected')
    for name in tiny.IMAGES:
        left, right = _pair(tmp_path / 'detected/images' / name)
        expected, _ = _pair(tmp_path / 'with_truth/images' / name)
        assert np.abs(left - expected)[:, 8:-8].max() <= 8
        assert np.abs(left - right).max() > 60  # predicted 4 pixels off


def test_images_without_a_file_get_pictures(project: Project, tmp_path: Path) -> None:
    """As in CIFAR, whose images are arrays; enlarged so that the class names can be read."""
    keys = {'test_dataloader.dataset.pipeline.1.meta_keys': ('sample_idx', 'ori_shape')}
    cfg = load_config(project('mmpretrain'), options={**SHORT, **keys})
    run_test(cfg, run_train(cfg), show_dir='show')
    pictures = sorted((tmp_path / 'show').iterdir())
    assert [path.name for path in pictures] == [f'{index:06d}.png' for index in range(4)]
    left, right = _pair(pictures[0])
    assert left.shape == right.shape


def test_resume_goes_on_where_training_stopped(project: Project) -> None:
    config = project('mmpretrain')
    first = run_train(load_config(config))
    assert _progress(first) == (2, 4, 4)  # 2 epochs of 2 batches

    latest = run_train(load_config(config, resume=True, options={'train_cfg.max_epochs': 3}))
    assert latest.name == 'epoch_3.pth'
    assert _progress(latest) == (3, 6, 6)

    named = load_config(config, resume=first, work_dir='elsewhere', options={'train_cfg.max_epochs': 4})
    assert _progress(run_train(named)) == (4, 8, 8)


def test_two_runs_in_one_second_log_apart(project: Project, tmp_path: Path) -> None:
    """Their configs give both visualizers one name, as the packages' configs do."""
    config = project('mmpretrain')
    section = "dict(type='Visualizer', name='visualizer', vis_backends=[dict(type='LocalVisBackend')])"
    config.write_text(f'{config.read_text()}\nvisualizer = {section}\n')
    for folder in (tmp_path / 'one', tmp_path / 'two'):
        run_train(load_config(config, work_dir=folder, options=SHORT))
        (log,), (scalars,) = folder.glob('*/*.log'), folder.glob('*/vis_data/scalars.json')
        assert log.read_text().count('Saving checkpoint at 1 epochs') == 1
        assert scalars.read_text().count('"loss"') == 2


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is alive after a run is alive for good."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(('loop', 'exact'), [('EpochBasedTrainLoop', False), ('IterBasedTrainLoop', True)])
def test_data_workers_end_with_the_run(loop: str, exact: bool, project: Project, uncollected: None) -> None:
    length = 'max_epochs' if loop == 'EpochBasedTrainLoop' else 'max_iters'
    options: dict[str, Any] = {'train_cfg': {'type': loop, length: 2, '_delete_': True}}
    for stage in ('train', 'val', 'test'):
        options |= {f'{stage}_dataloader.num_workers': 2, f'{stage}_dataloader.persistent_workers': True}
    if exact:
        options['default_hooks.resume'] = dict(type='hrnet_mm.ExactResumeHook')
    cfg = load_config(project('mmseg'), options=options)
    checkpoint = run_train(cfg)
    assert not multiprocessing.active_children()
    run_test(cfg, checkpoint)
    assert not multiprocessing.active_children()


def test_metrics_become_plain_floats_a_table_and_json(tmp_path: Path) -> None:
    given = {'a': np.float32(0.5), 'b': torch.tensor(2), 'c': [1, 2.5], 'd': 'text', 'e': 3}
    got = as_floats(given)
    assert got == {'a': 0.5, 'b': 2.0, 'c[0]': 1.0, 'c[1]': 2.5, 'e': 3.0}
    assert {type(value) for value in got.values()} == {float}
    table = ['metric     value', '-------  -------', 'coco/AP   0.5000', 'x        12.3457']
    assert metrics_table({'coco/AP': 0.5, 'x': 12.34567}).splitlines() == table
    write_metrics(tmp_path / 'm.json', {'a': 0.1, 'b': float('nan')}, config='c.py', checkpoint='k.pth')
    record = {'config': 'c.py', 'checkpoint': 'k.pth', 'metrics': {'a': 0.1, 'b': None}}
    assert json.loads((tmp_path / 'm.json').read_text()) == record


def _pair(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction without captions and legends: small images are shown at a whole multiple."""
    picture = cv2.imread(str(path)).astype(int)
    factor = -(-256 // min(tiny.HEIGHT, tiny.WIDTH))
    height, width = factor * tiny.HEIGHT, factor * tiny.WIDTH
    sizes = sizes_for(picture[:height, :width].astype(np.uint8))
    rows = picture[len(text_plate('truth', size=sizes.text)) :][:height]
    assert rows.shape[0] == height and rows.shape[1] >= 2 * width + sizes.gap
    return rows[:, :width], rows[:, width + sizes.gap :][:, :width]


@pytest.mark.parametrize('tta', [False, True])
def test_a_checkpoint_that_lacks_the_models_weights_is_not_tested(
    tta: bool, project: Project, tmp_path: Path
) -> None:
    cfg = load_config(project('mmpretrain'), work_dir='never')
    set_tta(cfg, tta)
    for state in (
        {'weight': torch.ones(2), 'steps': torch.tensor(0)},
        {'steps': torch.tensor(0), 'w': torch.ones(2)},
    ):
        torch.save({'state_dict': state}, 'other.pth')
        refuses(
            lambda: run_test(cfg, 'other.pth'), "checkpoint = 'other.pth'", '1 are missing', 'such as weight'
        )
    assert not (tmp_path / 'never').exists()


def _progress(checkpoint: Path) -> tuple[int, int, int]:
    """Epochs and iterations as MMEngine counts them, and steps as the model counted them."""
    state = load_file(checkpoint)
    return state['meta']['epoch'], state['meta']['iter'], int(state['state_dict']['steps'])
