"""Plain mm means: ``init_cfg``, ``load_from`` and resuming, with files of any layout."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import WEIGHT_INITIALIZERS, DefaultScope
from peers import assert_close, build_ours, build_peer, images, scramble
from published_files import specimen
from runs import Learner, runner_of, training
from spoiled import Calls

from hrnet_mm.checkpoints import (
    CheckpointError,
    PretrainedOfAnyLayout,
    convert_checkpoint,
    load_file,
    read_checkpoint,
)

QUIET = pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')


@contextmanager
def listen_to_reports() -> Iterator[list[logging.LogRecord]]:
    """The reports of weights that MMEngine's logger gets meanwhile, and warnings."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign,assignment]
    handler.addFilter(lambda record: record.levelno > logging.INFO or 'weights from ' in record.getMessage())
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)


# -- init_cfg -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('scope', 'source'),
    [
        (None, ('timm', 'classification')),
        ('mmseg', ('official', 'ocr')),
        ('mmpretrain', ('mmdet', 'detection')),
    ],
)
@QUIET
def test_init_cfg_takes_files_of_every_layout(
    tmp_path: Path, scope: str | None, source: tuple[str, str]
) -> None:
    file = specimen(*source).save(tmp_path / 'weights.pth.tar')
    pretrained = dict(type='Pretrained', checkpoint=str(file))
    model = build_ours(scope, init_cfg=pretrained, multiscale_output=scope == 'mmdet')
    with listen_to_reports() as reports:
        model.init_weights()
    state = read_checkpoint(file).state
    body = {key.removeprefix('model.').removeprefix('backbone.'): v for key, v in state.items()}
    for key, value in model.state_dict().items():
        assert torch.equal(value, body[key].to(value.dtype)), key
    (report,) = reports
    assert report.levelno == logging.INFO
    assert f'weights from {file}' in report.getMessage()
    assert f'loaded: {len(model.state_dict())} of {len(model.state_dict())} tensors' in report.getMessage()


def test_init_cfg_in_a_list_with_a_prefix_and_as_pretrained(tmp_path: Path) -> None:
    peer = scramble(build_peer('mmpretrain'))
    content = {f'{who}.{k}': v for who in ('student', 'teacher') for k, v in peer.state_dict().items()}
    content['student.conv1.weight'] = content['student.conv1.weight'] + 1
    torch.save(content, tmp_path / 'two.pth')
    torch.save(peer.state_dict(), tmp_path / 'one.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'two.pth'), prefix='teacher.')
    for kwargs in (
        dict(init_cfg=[dict(type='Constant', val=3, layer='Conv2d'), pretrained]),
        dict(pretrained=str(tmp_path / 'one.pth')),
    ):
        model = build_ours('mmpretrain', **kwargs)
        model.init_weights()
        assert_close(dict(model.state_dict()), dict(peer.state_dict()), rel=0)
    model = build_ours('mmpretrain', init_cfg=pretrained | dict(prefix='ema'))
    with pytest.raises(CheckpointError, match=r"prefix='ema\.'; expected one of student, teacher"):
        model.init_weights()


def test_pretrained_is_ours_in_our_scope_alone(tmp_path: Path) -> None:
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    with DefaultScope.overwrite_default_scope('hrnet_mm'):
        assert type(WEIGHT_INITIALIZERS.build(cfg)) is PretrainedOfAnyLayout
    peer = build_peer('mmseg', init_cfg=cfg)
    torch.save(build_peer('mmseg').state_dict(), tmp_path / 'weights.pth')
    with listen_to_reports() as reports:
        peer.init_weights()
    assert not reports


# -- load_from ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('task', 'source', 'target', 'kind'),
    [
        ('keypoints', 'official', 'hrnet_mm', ''),
        ('segmentation', 'official', 'mmseg', '.safetensors'),
        ('detection', 'mmdet', 'hrnet_mm', '.pth'),
    ],
)
@QUIET
def test_load_from_takes_files_of_every_layout(
    tmp_path: Path, task: str, source: str, target: str, kind: str
) -> None:
    original, copied = specimen(source, task), specimen(target, task, seed=3)
    file = original.save(tmp_path / f'weights{kind.replace("safetensors", "pth")}')
    if kind == '.safetensors':
        convert_checkpoint(file, tmp_path / 'weights.safetensors', to=source)
        file = tmp_path / 'weights.safetensors'
    runner = runner_of(copied.module, tmp_path, load_from=str(file))
    with listen_to_reports() as reports:
        runner.load_or_resume()
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)
    assert f'weights from {file}' in reports[0].getMessage()
    assert len(reports) == 1 or task == 'detection'


def test_load_from_with_a_misfit_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    narrow = scramble(build_ours('mmpretrain', arch='w18_small_v1'))
    torch.save(narrow.state_dict(), tmp_path / 'weights.pth')
    model = specimen('hrnet_mm', 'keypoints', seed=4).module
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'another architecture \(channels 16/32/64/128, layer1 of 1'):
        runner_of(model, tmp_path, load_from=str(tmp_path / 'weights.pth')).load_or_resume()
    assert_close(dict(model.state_dict()), before, rel=0)


def test_models_without_an_hrnet_are_left_alone(tmp_path: Path) -> None:
    linear, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    torch.save(dict(state_dict=linear.state_dict(), meta={}), tmp_path / 'weights.pth')
    runner = runner_of(other, tmp_path, load_from=str(tmp_path / 'weights.pth'))
    with listen_to_reports() as reports:
        runner.load_or_resume()
    assert torch.equal(other.weight, linear.weight) and not reports


# -- resuming -------------------------------------------------------------------------------------


def save_by_runner(model: Any, file: Path) -> None:
    """As MMEngine's CheckpointHook does."""
    runner = training(model, file.parent, iterations=1)
    assert runner.train_loop  # the loop is built when it is asked for
    runner.save_checkpoint(str(file.parent), file.name, save_optimizer=False, save_param_scheduler=False)


def test_training_is_resumed_and_executes_nothing(tmp_path: Path) -> None:
    training(Learner(), tmp_path, iterations=1).train()
    file = tmp_path / 'work' / 'iter_1.pth'
    saved = load_file(file)
    assert saved['meta']['hrnet_mm'] == dict(upsample_cfg=dict(mode='bilinear', align_corners=False))
    bare = file.with_name('latest')  # MMEngine asks for no ending
    bare.symlink_to(file)
    again = training(Learner(), tmp_path, iterations=2, resume=True, load_from=str(bare))
    again.load_or_resume()
    assert again.iter == 1
    assert_close(dict(again.model.state_dict()), dict(saved['state_dict']), rel=0)
    momentum = again.optim_wrapper.state_dict()['state'][0]['momentum_buffer']
    assert torch.equal(momentum, saved['optimizer']['state'][0]['momentum_buffer'])
    again.train()
    assert (again.iter, again.message_hub.get_scalar('train/loss').data[0].size) == (2, 2)

    hostile = tmp_path / 'hostile.pth'
    torch.save({**saved, 'extra': Calls(os.mkdir, str(tmp_path / 'executed'))}, hostile)
    again = training(Learner(), tmp_path, iterations=2, resume=True, load_from=str(hostile))
    with pytest.raises(CheckpointError, match=r'mkdir\), which are never executed'):
        again.train()
    assert not (tmp_path / 'executed').exists()


# -- one pretraining serves all -------------------------------------------------------------------


@pytest.mark.parametrize(
    ('task', 'scope'),
    [('classification', 'mmpose'), ('classification', 'mmdet'), ('keypoints', 'mmseg')],
)
def test_what_a_runner_saved_starts_the_body_of_any_other_task(
    task: str, scope: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """As ``docs/pretraining.md`` says, and nothing but the body."""
    file = tmp_path / 'trained.pth'
    save_by_runner(specimen('hrnet_mm', task).module, file)
    model = build_ours(scope, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    with listen_to_reports() as reports:
        model.init_weights()
    saved = load_file(file)['state_dict']
    trained = {key.removeprefix('backbone.'): v for key, v in saved.items() if key.startswith('backbone.')}
    state = model.state_dict()
    for key in state.keys() & trained.keys():
        assert torch.equal(state[key], trained[key].to(state[key].dtype)), key
    # a pose network says nothing about fusion into streams that it does not produce, and needs nothing of it
    missing, left_over = state.keys() - trained.keys(), trained.keys() - state.keys()
    assert (bool(missing), bool(left_over)) == (task == 'keypoints', scope == 'mmpose')
    assert all(key.startswith('stage4.1.fuse_layers.') for key in missing | left_over)
    named = [key for key in missing if not key.endswith('num_batches_tracked')]
    (message,) = (report.getMessage() for report in reports)
    assert f'loaded: {len(state) - len(missing)} of ' in message
    assert (f'missing, left as initialised: {len(named)}' in message) == bool(missing)
    # segmentation upsamples bilinearly, the others do not: fine to start from, and said
    said = any("trained with upsample_cfg={'mode': 'nearest'}" in str(each.message) for each in recwarn)
    assert said == (scope == 'mmseg')
