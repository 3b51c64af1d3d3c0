"""Joint trainings of seconds: what they log and save, what they refuse, and where a killed one goes on."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import small_runs
import tiny_projects
import torch
from forked import Trial
from joint_project import NAMES, write_joint
from mmengine.config import Config
from refusal import refuses
from small_runs import differences, training_state

from hrnet_mm.analysis import largest_batch, predict_training_memory
from hrnet_mm.checkpoints import extract_task, fill_task, load_file
from hrnet_mm.config.build import build_model, build_trained
from hrnet_mm.config.joining import joint_config_text
from hrnet_mm.config.joint import task_config, task_configs
from hrnet_mm.config.load import load_config
from hrnet_mm.inference.tta import set_tta
from hrnet_mm.multi_task import loops
from hrnet_mm.pictures.browse import SampleSource
from hrnet_mm.training.finite_loss_hook import NumericFault
from hrnet_mm.training.run import run_test, run_train

_MEAN = ('pose/coco/AP', 'segmentation/mIoU', 'detection/coco/bbox_mAP')


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('joint')


@pytest.fixture(scope='module')
def config(place: Path) -> Path:
    return write_joint(place, more='custom_hooks = [dict(type="ReportHook")]')


@pytest.fixture(scope='module')
def undisturbed(config: Path) -> Path:
    """The work folder of a whole run, with a validation at its end."""
    work_dir = config.parent / 'undisturbed'
    options = {'val_cfg.mean': list(_MEAN), 'default_hooks.checkpoint.save_best': 'mean'}
    options['default_hooks.checkpoint.rule'] = 'greater'
    run_train(load_config(config, work_dir=work_dir, options=options))
    return work_dir


@pytest.mark.nightly
def test_mim_trains_by_the_package_of_a_task(tmp_path: Path) -> None:
    write_joint(tmp_path)
    command = [sys.executable, '-m', 'mim', 'train', 'mmseg', 'joint.py', '--gpus', '0']
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / 'work_dirs' / 'joint' / 'iter_6.pth').is_file()


def records(work_dir: Path) -> list[dict[str, Any]]:
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_logs_and_metrics_name_the_task(undisturbed: Path) -> None:
    *steps, validation = records(undisturbed)
    assert {'pose/loss_kpt', 'segmentation/decode.loss_ce', 'detection/loss_bbox', 'loss'} <= steps[0].keys()
    parts = [steps[0][f'{name}/loss'] for name in NAMES]
    assert steps[0]['loss'] == pytest.approx(sum(parts), rel=1e-5)
    values = [validation[name] for name in _MEAN]
    assert validation['mean'] == pytest.approx((values[0] + values[1] / 100 + values[2]) / 3)
    assert list(undisturbed.glob('best_mean_iter_6.pth'))


def test_tested_by_the_tool_with_pictures_of_each_task(
    config: Path, undisturbed: Path, tmp_path: Path
) -> None:
    cfg = load_config(config, work_dir=undisturbed)
    metrics = run_test(cfg, undisturbed / 'iter_6.pth', show_dir=tmp_path / 'joint')
    images = {Path('images', name) for name in tiny_projects.IMAGES}
    for task in NAMES:
        folder = tmp_path / 'joint' / task
        drawn = {path.relative_to(folder) for path in folder.rglob('*.*')}
        assert drawn == {image for image in images if task != 'segmentation' or image.suffix == '.jpg'}
    single = task_config(cfg, 'segmentation')
    single.test_cfg = dict(type='TestLoop')
    extract_task(undisturbed / 'iter_6.pth', tmp_path / 'single.pth', task='segmentation')
    run_test(single, tmp_path / 'single.pth', show_dir=tmp_path / 'single')
    for picture in (tmp_path / 'single').rglob('*.jpg'):
        other = tmp_path / 'joint' / 'segmentation' / picture.relative_to(tmp_path / 'single')
        assert picture.read_bytes() == other.read_bytes()
    validation = records(undisturbed)[-1]
    assert {name: metrics[name] for name in _MEAN} == pytest.approx(
        {name: validation[name] for name in _MEAN}
    )


@pytest.mark.parametrize(
    'shares', [None, pytest.param({'pose': 2, 'segmentation': 1, 'detection': 1}, marks=pytest.mark.nightly)]
)
def test_killed_and_resumed_equals_undisturbed(config: Path, shares: Any) -> None:
    options = {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None, 'train_cfg.shares': shares}

    def train(name: str, *, die_after: int | None = None) -> Trial:
        task = functools.partial(small_runs.train, config, config.parent / name, **options)
        return Trial(task, log=config.parent / f'{name}.log', die_after=die_after)

    whole, killed = f'whole_{bool(shares)}', f'killed_{bool(shares)}'
    train(whole).finish()
    trial = train(killed, die_after=5)
    trial.follow()
    assert trial.was_killed, trial.log.read_text()[-3000:]
    train(killed).finish()
    states = [training_state(config.parent / name / 'iter_6.pth') for name in (whole, killed)]
    assert differences(*states) == []


def test_shares_are_drawn_alike_and_in_proportion() -> None:
    loader = torch.utils.data.DataLoader([0])  # type: ignore[arg-type]
    tasks = loops.TaskLoaders({'a': loader, 'b': loader}, shares={'a': 3, 'b': 1}, seed=5)
    first, again = (list(islice(tasks.draws(), 1000)) for _ in range(2))
    assert first == again
    assert Counter(first)[('a',)] == pytest.approx(750, abs=60)


def test_a_task_leaves_and_comes_back(config: Path, undisturbed: Path, tmp_path: Path) -> None:
    joint = undisturbed / 'iter_6.pth'
    cfg = load_config(config)
    images = torch.rand(1, 3, 64, 64)

    def outputs(model: Any) -> list[torch.Tensor]:
        head = next(
            getattr(model, part) for part in ('head', 'decode_head', 'rpn_head') if hasattr(model, part)
        )
        return _tensors(head(model.extract_feat(images)))

    whole = build_trained(cfg, joint)
    for name in NAMES:
        alone = tmp_path / f'{name}.pth'
        extract_task(joint, alone, task=name)
        model: Any = build_trained(task_config(cfg, name), alone)
        with torch.no_grad():
            for one, two in zip(outputs(model), outputs(whole.tasks[name]), strict=True):
                assert torch.equal(one, two)
    back = tmp_path / 'back.pth'
    head = load_file(tmp_path / 'pose.pth')
    head['state_dict']['head.final_layer.bias'] += 1
    torch.save(head, tmp_path / 'other.pth')
    fill_task(tmp_path / 'other.pth', joint, back, task='pose')
    before, after = load_file(joint)['state_dict'], load_file(back)['state_dict']
    assert [key for key in before if not torch.equal(before[key], after[key])] == [
        'tasks.pose.head.final_layer.bias'
    ]


def test_one_task_is_trained_as_its_single_config_is(tmp_path: Path) -> None:
    """Ten steps from the same weights, drawn pictures and dropout included."""
    cfg = load_config(write_joint(tmp_path, names=('segmentation',)), work_dir=tmp_path / 'joint')
    cfg.merge_from_dict({'train_cfg.max_iters': 10, 'val_cfg': None})
    cfg.merge_from_dict(dict.fromkeys(('val_dataloader', 'val_evaluator', 'test_cfg')))
    cfg.merge_from_dict(dict.fromkeys(('test_dataloader', 'test_evaluator')))
    model = build_model(cfg)
    model.init_weights()
    torch.save(model.state_dict(), tmp_path / 'start.pth')
    extract_task(tmp_path / 'start.pth', tmp_path / 'single_start.pth', task='segmentation')
    single = task_config(cfg, 'segmentation')
    single.train_cfg = dict(type='IterBasedTrainLoop', max_iters=10)
    single.work_dir = str(tmp_path / 'single')
    single.load_from, cfg.load_from = str(tmp_path / 'single_start.pth'), str(tmp_path / 'start.pth')
    extract_task(run_train(cfg), tmp_path / 'end.pth', task='segmentation')
    one, two = (load_file(each)['state_dict'] for each in (tmp_path / 'end.pth', run_train(single)))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-4, atol=1e-6)
    start = load_file(tmp_path / 'single_start.pth')['state_dict']
    assert not torch.equal(start['backbone.conv1.weight'], one['backbone.conv1.weight'])


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [leaf for item in value for leaf in _tensors(item)] if isinstance(value, (list, tuple)) else []


def changed(config: Path, **sections: Any) -> Config:
    cfg = load_config(config, work_dir=config.parent / 'refused')
    cfg.merge_from_dict(sections)
    return cfg


@pytest.mark.parametrize(
    ('change', 'parts'),
    [
        ({'train_dataloader.pose': None}, ('train_dataloader.pose', 'pose, segmentation, detection')),
        ({'train_dataloader.pose.batch_size': 0}, ('task pose: train_dataloader.batch_size = 0',)),
        ({'train_cfg.shares': {'poes': 1}}, ('train_cfg.shares', 'pose, segmentation, detection')),
        ({'val_evaluator.pose': None}, ('val_evaluator.pose', 'an evaluator for each')),
        ({'model.tasks.segmentation.decode_head.num_classes': 3}, ('task segmentation: ', 'num_classes')),
        ({'val_cfg.mean': ['pose/AP']}, ('val_cfg.mean', 'pose/AP', 'pose/coco/AP')),
        (
            {'default_hooks.checkpoint.save_best': 'coco/AP', 'default_hooks.checkpoint.rule': 'greater'},
            ('default_hooks.checkpoint.save_best', 'pose/coco/AP'),
        ),
        ({'train_dataloader.pose.dataset.dataset.ann_file': 'no.json'}, ('task pose: ', 'no.json')),
    ],
)
def test_refusals_come_before_the_first_step(
    config: Path, change: dict[str, Any], parts: tuple[str, ...]
) -> None:
    refuses(lambda: run_train(changed(config, **change)), *parts)


def test_what_does_not_go_with_several_tasks(config: Path, undisturbed: Path) -> None:
    cfg = load_config(config, work_dir=undisturbed)
    told = functools.partial(run_test, cfg, undisturbed / 'iter_6.pth', per_class='told')
    refuses(told, '--per-class', 'pose, segmentation, detection', 'convert_checkpoint.py --task')
    cfg = load_config(config)
    refuses(lambda: set_tta(cfg, True), 'a config of one task')
    refuses(lambda: SampleSource(cfg, split='train'), 'a config of one task')
    refuses(lambda: joint_config_text([str(config)]), 'configs = ', 'a config of one task')
    cfg = changed(config, custom_hooks=[dict(type='hrnet_mm.CUDAGraphHook')])
    refuses(lambda: run_train(cfg), 'CUDAGraphHook', 'MultiTaskModel')


def test_a_step_holds_the_activations_of_all_tasks(config: Path) -> None:
    cfg = load_config(config)
    found = predict_training_memory(cfg, (64, 96), batch=2)
    alone = [predict_training_memory(view, (64, 96), batch=2) for view in task_configs(cfg).values()]
    assert found.batch == 6
    assert max(each.activations for each in alone) < found.activations
    assert found.activations <= sum(each.activations for each in alone)
    cfg.train_cfg.shares = dict.fromkeys(NAMES, 1)  # a task a step
    largest = predict_training_memory(cfg, (64, 96), batch=2)
    assert (largest.batch, largest.activations) == (2, max(each.activations for each in alone))
    refuses(lambda: largest_batch(cfg, (64, 96), gib=1), 'a config of one task')


def test_a_loss_that_is_nan_names_its_task(config: Path) -> None:
    cfg = changed(config, **{'model.loss_weights': {'segmentation': 1.0}, 'data_check': False})
    cfg.model.tasks.segmentation.decode_head.loss_decode = dict(
        type='CrossEntropyLoss', loss_weight=float('nan')
    )
    with pytest.raises(NumericFault, match=r'segmentation/decode\.loss_ce = nan'):
        run_train(cfg)
