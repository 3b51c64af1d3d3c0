"""Plain mm means: ``init_cfg``, ``load_from`` and resuming, with files of any layout."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from peers import TINY_CHANNELS, assert_close, build_ours, build_peer, images, models_of, scramble
from published_files import specimen
from torch.utils.data import Dataset

from hrnet_mm.checkpoints import CheckpointError, convert_checkpoint, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
OUR_HOOK = dict(weights=dict(type='hrnet_mm.HRNetWeightsHook'))
QUIET = pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def reports(self) -> list[logging.LogRecord]:
        return [record for record in self.records if record.getMessage().startswith('weights from ')]


@pytest.fixture
def logged():
    """What MMEngine's logger says while a test runs."""
    lines = Lines()
    touched = []

    def listen() -> Lines:
        logger = MMLogger.get_current_instance()
        touched.append((logger, logger.level))
        logger.setLevel(logging.INFO)
        logger.addHandler(lines)
        return lines

    yield listen
    for logger, level in touched:
        logger.removeHandler(lines)
        logger.setLevel(level)


# -- init_cfg -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('scope', 'source'),
    [
        (None, ('timm', 'classification')),
        ('mmpose', ('official', 'keypoints')),
        ('mmseg', ('official', 'ocr')),
        ('mmdet', ('timm', 'classification')),
        ('mmpretrain', ('mmdet', 'detection')),
    ],
)
@QUIET
def test_init_cfg_takes_files_of_every_layout(tmp_path, scope, source, logged):
    file = specimen(*source).save(tmp_path / 'weights.pth.tar')
    model = build_ours(
        scope, init_cfg=dict(type='Pretrained', checkpoint=str(file)), multiscale_output=scope == 'mmdet'
    )
    lines = logged()
    model.init_weights()
    state = read_checkpoint(file).state
    body = {key.removeprefix('model.').removeprefix('backbone.'): v for key, v in state.items()}
    for key, value in model.state_dict().items():
        assert torch.equal(value, body[key].to(value.dtype)), key
    (report,) = lines.reports()
    assert report.levelno == logging.INFO
    assert f'weights from {file}' in report.getMessage()
    assert f'loaded: {len(model.state_dict())} of {len(model.state_dict())} tensors' in report.getMessage()
    assert [record for record in lines.records if record.levelno > logging.INFO] == []


def test_init_cfg_in_a_list_with_a_prefix_and_as_pretrained(tmp_path):
    peer = scramble(build_peer('mmpretrain'))
    content = {f'{who}.{k}': v for who in ('student', 'teacher') for k, v in peer.state_dict().items()}
    content['student.conv1.weight'] = content['student.conv1.weight'] + 1
    torch.save(content, tmp_path / 'two.pth')
    torch.save(peer.state_dict(), tmp_path / 'one.pth')
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'two.pth'), prefix='teacher.')
    for kwargs in (
        dict(init_cfg=[dict(type='Constant', val=3, layer='Conv2d'), pretrained]),
        dict(init_cfg=pretrained),
        dict(pretrained=str(tmp_path / 'one.pth')),
    ):
        model = build_ours('mmpretrain', **kwargs)
        model.init_weights()
        assert_close(dict(model.state_dict()), dict(peer.state_dict()), rel=0)
    model = build_ours('mmpretrain', init_cfg=pretrained | dict(prefix='ema'))
    with pytest.raises(
        CheckpointError, match=r"no keys under prefix='ema\.'; expected one of student, teacher"
    ):
        model.init_weights()


def test_the_packages_own_networks_initialise_as_ever(tmp_path):
    peer = build_peer('mmseg', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth')))
    weights = scramble(build_peer('mmseg')).state_dict()
    torch.save(weights, tmp_path / 'weights.pth')
    peer.init_weights()
    assert_close(dict(peer.state_dict()), dict(weights), rel=0)


# -- load_from ------------------------------------------------------------------------------------


def runner_of(model: Any, tmp_path: Path, **kwargs: Any) -> Runner:
    kwargs.setdefault('default_hooks', OUR_HOOK)
    return Runner(
        model,
        work_dir=str(tmp_path / 'work'),
        log_level='ERROR',
        experiment_name=f'{tmp_path.name}-{len(list(tmp_path.iterdir()))}',
        **kwargs,
    )


@pytest.mark.parametrize(
    ('task', 'source', 'target', 'kind'),
    [
        ('classification', 'timm', 'hrnet_mm', '.safetensors'),
        ('classification', 'mmpretrain', 'hrnet_mm', '.pth'),
        ('keypoints', 'official', 'hrnet_mm', '.pth'),
        ('keypoints', 'mmpose', 'hrnet_mm', '.safetensors'),
        ('segmentation', 'official', 'hrnet_mm', '.pth'),
        ('segmentation', 'mmseg', 'hrnet_mm', '.pth'),
        ('segmentation', 'official', 'mmseg', '.safetensors'),
        ('ocr', 'official', 'hrnet_mm', '.pth'),
        ('detection', 'mmdet', 'hrnet_mm', '.pth'),
        ('detection', 'official', 'hrnet_mm', '.pth'),
    ],
)
@QUIET
def test_load_from_takes_files_of_every_layout(tmp_path, task, source, target, kind, logged):
    original, copied = specimen(source, task), specimen(target, task, seed=3)
    file = original.save(tmp_path / 'weights.pth')
    if kind == '.safetensors':
        file = tmp_path / 'weights.safetensors'
        convert_checkpoint(tmp_path / 'weights.pth', file, to=source)
    runner = runner_of(copied.module, tmp_path, load_from=str(file))
    lines = logged()
    runner.load_or_resume()
    x = images(1, size=(64, 64), dtype=torch.float64)
    with torch.no_grad():
        assert_close(copied.run(x), original.run(x), rel=1e-9)
    (report,) = lines.reports()
    assert f'weights from {file}' in report.getMessage()
    if task != 'detection':
        assert [record for record in lines.records if record.levelno > logging.INFO] == []


def test_load_from_with_a_misfit_is_an_error_and_changes_nothing(tmp_path):
    narrow = scramble(build_ours('mmpretrain', arch='w18_small_v1'))
    torch.save(narrow.state_dict(), tmp_path / 'weights.pth')
    model = specimen('hrnet_mm', 'keypoints', seed=4).module
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'another architecture \(channels 16/32/64/128, layer1 of 1'):
        runner_of(model, tmp_path, load_from=str(tmp_path / 'weights.pth')).load_or_resume()
    assert_close(dict(model.state_dict()), before, rel=0)


def test_models_without_an_hrnet_are_left_alone(tmp_path, logged):
    linear = torch.nn.Linear(2, 2)
    torch.save(dict(state_dict=linear.state_dict(), meta={}), tmp_path / 'weights.pth')
    other = torch.nn.Linear(2, 2)
    runner = runner_of(other, tmp_path, load_from=str(tmp_path / 'weights.pth'))
    lines = logged()
    runner.load_or_resume()
    assert torch.equal(other.weight, linear.weight) and not lines.reports()


@QUIET
def test_a_config_of_ours_with_the_authors_file(tmp_path):
    """From the config's own model to the authors' layout and back through ``load_from``."""
    warnings.filterwarnings('ignore', module='mmseg')
    cfg = Config.fromfile(ROOT / 'configs' / 'hrnetv2_w18_small_v1_synthetic.py')
    models_of('mmseg')
    first, second = (
        runner_of(cfg.model, tmp_path / name, default_scope='mmseg') for name in folders(tmp_path)
    )
    scramble(first.model)
    torch.save(first.model.state_dict(), tmp_path / 'ours.pth')
    convert_checkpoint(tmp_path / 'ours.pth', tmp_path / 'official.pth', to='official')
    assert 'model.last_layer.3.weight' in torch.load(tmp_path / 'official.pth')
    second._load_from = str(tmp_path / 'official.pth')
    second.load_or_resume()
    assert_close(dict(second.model.state_dict()), dict(first.model.state_dict()), rel=0)


def folders(tmp_path: Path) -> tuple[str, str]:
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
    return 'a', 'b'


# -- resuming -------------------------------------------------------------------------------------


class Learner(BaseModel):
    """The least that trains an HRNet."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = build_ours('mmseg')

    def forward(self, inputs: list[torch.Tensor], mode: str = 'tensor') -> Any:
        return dict(loss=self.backbone(torch.stack(inputs))[0].square().mean())


class Pictures(Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return dict(inputs=torch.full((3, 32, 32), float(i)))


def training(tmp_path: Path, *, iterations: int, **kwargs: Any) -> Runner:
    return runner_of(
        Learner(),
        tmp_path,
        train_dataloader=dict(
            batch_size=2, dataset=Pictures(), sampler=dict(type='DefaultSampler', shuffle=True)
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        default_hooks=OUR_HOOK | dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)),
        **kwargs,
    )


def test_training_is_resumed(tmp_path):
    training(tmp_path, iterations=1).train()
    file = tmp_path / 'work' / 'iter_1.pth'
    saved = torch.load(file, weights_only=True)
    assert saved['meta']['hrnet_mm'] == dict(upsample_cfg=dict(mode='bilinear', align_corners=False))
    again = training(tmp_path, iterations=2, resume=True, load_from=str(file))
    again.load_or_resume()
    assert again.iter == 1
    assert_close(dict(again.model.state_dict()), dict(saved['state_dict']), rel=0)
    again.train()
    assert again.iter == 2
    momentum = again.optim_wrapper.state_dict()['state'][0]['momentum_buffer']
    assert momentum.abs().sum() > 0 and saved['optimizer']['state'][0]['momentum_buffer'] is not None


def test_resuming_executes_nothing(tmp_path):
    from test_reading import Touches

    training(tmp_path, iterations=1).train()
    saved = torch.load(tmp_path / 'work' / 'iter_1.pth')
    torch.save({**saved, 'extra': Touches(tmp_path / 'executed')}, tmp_path / 'hostile.pth')
    again = training(tmp_path, iterations=2, resume=True, load_from=str(tmp_path / 'hostile.pth'))
    with pytest.raises(CheckpointError, match=r'mkdir\), which are never executed'):
        again.train()
    assert not (tmp_path / 'executed').exists()


def test_a_neck_alone_is_no_network_of_ours():
    """What the hook asks a model before it touches anything."""
    from hrnet_mm import HRNetV2Neck
    from hrnet_mm.checkpoints.body import body_prefixes

    assert body_prefixes(HRNetV2Neck(TINY_CHANNELS).state_dict()) == []
    assert body_prefixes(build_ours().state_dict()) == ['']
