"""A wrong config file, switch or option is refused by name, with what was expected."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from refusal import refuses

from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]


def test_missing_config(tmp_path: Path) -> None:
    refuses(lambda: load_config('no.py'), "config = 'no.py'", f'looked for {tmp_path}/no.py')


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('model = dict(', 'SyntaxError'),
        ("_base_ = './gone.py'", 'gone.py'),
        ("custom_imports = dict(imports=['no_such_module'])", 'no_such_module'),
        ("default_scope = 'mmseg'\n1 / 0", 'ZeroDivisionError'),
    ],
)
def test_unreadable_config(text: str, reason: str) -> None:
    Path('broken.py').write_text(text)
    refuses(lambda: load_config('broken.py'), "config = 'broken.py'", 'readable config', reason)


def test_base_of_a_codebase_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path('child.py').write_text("_base_ = 'mmseg::_base_/default_runtime.py'")
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda name: False)
    refuses(lambda: load_config('child.py'), "config = 'child.py'", "pip install 'hrnet_mm[seg]'")


@pytest.mark.parametrize(('text', 'value'), [('a = 1', 'None'), ("default_scope='mmx'", "'mmx'")])
def test_config_without_a_known_scope(text: str, value: str) -> None:
    Path('scopeless.py').write_text(text)
    refuses(
        lambda: load_config('scopeless.py'),
        f'default_scope = {value}',
        'one of mmpose, mmseg, mmdet, mmpretrain',
        '--cfg-options default_scope=NAME',
    )


@pytest.mark.parametrize(
    ('scope', 'extra'),
    [('mmpose', 'pose'), ('mmseg', 'seg'), ('mmdet', 'det'), ('mmpretrain', 'cls')],
)
def test_scope_that_is_not_installed(scope: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path('config.py').write_text(f'default_scope = {scope!r}')
    monkeypatch.setitem(sys.modules, scope, None)
    refuses(
        lambda: load_config('config.py'),
        f'default_scope = {scope!r}',
        f"pip install 'hrnet_mm[{extra}]'",
    )


@pytest.mark.parametrize(
    ('run', 'key'),
    [
        (run_train, 'model'),
        (run_train, 'train_cfg'),
        (run_train, 'optim_wrapper'),
        (lambda cfg: run_test(cfg, 'https://x/y.pth'), 'test_dataloader'),
        (lambda cfg: run_test(cfg, 'https://x/y.pth'), 'test_evaluator'),
    ],
)
def test_missing_section(run: Callable[[Config], object], key: str, project: Project) -> None:
    cfg = load_config(project('mmseg'))
    cfg[key] = None
    refuses(lambda: run(cfg), f'{key} = None', f'a section {key!r}')


# Switches


def test_work_dir_defaults_to_the_name_of_the_config(project: Project) -> None:
    config = project('mmseg')
    assert load_config(config).work_dir == './work_dirs/tiny_mmseg'
    assert load_config(config, options={'work_dir': 'mine'}).work_dir == 'mine'
    assert load_config(config, work_dir='here', options={'work_dir': 'x'}).work_dir == 'here'


@pytest.mark.parametrize('checkpoint', ['gone.pth', '.'])
def test_missing_checkpoint(checkpoint: str, project: Project, tmp_path: Path) -> None:
    cfg = load_config(project('mmseg'))
    where = f'looked for {tmp_path / checkpoint}'
    refuses(lambda: run_test(cfg, checkpoint), f'checkpoint = {checkpoint!r}', where)
    refuses(
        lambda: load_config(project('mmseg'), resume=checkpoint),
        f'--resume = {checkpoint!r}',
        where,
    )
    cfg.load_from = checkpoint
    refuses(lambda: run_train(cfg), f'load_from = {checkpoint!r}', where)


@pytest.mark.parametrize('url', ['https://x.org/y.pth', 'http://x/y', 'open-mmlab://msra/hrnet'])
def test_remote_checkpoints_are_not_looked_for(url: str, project: Project) -> None:
    cfg = load_config(project('mmseg'), resume=url)
    assert (cfg.resume, cfg.load_from) == (True, url)


def test_resume_without_a_path_is_left_to_mmengine(project: Project) -> None:
    cfg = load_config(project('mmseg'), options={'load_from': 'x.pth'}, resume=True)
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_auto_scale_lr_needs_the_batch_size(project: Project) -> None:
    assert load_config(project('mmseg'), auto_scale_lr=True).auto_scale_lr.enable is True
    refuses(
        lambda: load_config(project('mmseg'), options={'auto_scale_lr': None}, auto_scale_lr=True),
        'auto_scale_lr.base_batch_size = None',
        'the batch size over all GPUs',
    )


def test_amp(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    config = project('mmseg')
    monkeypatch.setattr('hrnet_mm.config.load.get_device', lambda: 'cuda')
    wrapper = load_config(config, amp=True).optim_wrapper
    assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    own = {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.loss_scale': 512}
    assert load_config(config, options=own, amp=True).optim_wrapper.loss_scale == 512
    other = {'optim_wrapper.type': 'mmpretrain.OtherOptimWrapper'}
    refuses(
        lambda: load_config(config, options=other, amp=True),
        "optim_wrapper.type = 'OtherOptimWrapper'",
        'OptimWrapper, for --amp',
    )
    monkeypatch.setattr('hrnet_mm.config.load.get_device', lambda: 'cpu')
    refuses(lambda: load_config(config, amp=True), '--amp = True', 'a GPU')


@pytest.mark.parametrize(('name', 'variable'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_launchers(name: str, variable: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable, raising=False)
    config = project('mmseg')
    refuses(lambda: load_config(config, launcher=name), f'--launcher = {name!r}', variable)
    refuses(
        lambda: load_config(config, launcher='mpi'),
        "--launcher = 'mpi'",
        'one of none, pytorch, slurm',
    )


def test_launcher_reaches_mmengine(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')
    assert load_config(project('mmseg'), launcher='pytorch').launcher == 'pytorch'


def test_torchrun_without_a_launcher_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setenv('WORLD_SIZE', '1')
    config = project('mmseg')
    assert load_config(config).launcher == 'none'
    monkeypatch.setenv('WORLD_SIZE', '4')
    refuses(lambda: load_config(config), "--launcher = 'none'", "'pytorch': torchrun started 4 processes")


# --cfg-options


def test_options_are_read_as_mmengine_reads_them() -> None:
    given = ['a=1', 'b.c=0.5', 'd=True', 'e=None', 'f=x=y', 'g=1,2', 'h=[(1,a),2]', 'i.0.j=z', 'k=']
    expected: dict[str, Any] = {'a': 1, 'b.c': 0.5, 'd': True, 'e': None, 'f': 'x=y'}
    expected |= {'g': [1, 2], 'h': [(1, 'a'), 2], 'i.0.j': 'z', 'k': ''}
    assert parse_options(given) == expected


@pytest.mark.parametrize('item', ['abc', '=1', 'a..b=1', '.a=1', 'a.=1', ''])
def test_malformed_option(item: str) -> None:
    refuses(lambda: parse_options(['ok=1', item]), f'--cfg-options = {item!r}', 'KEY=VALUE')


def test_option_with_unbalanced_brackets() -> None:
    refuses(lambda: parse_options(['a.b=[(1,2]']), "--cfg-options a.b = '[(1,2]'", 'balanced')


@pytest.mark.parametrize('key', ['pipeline.9.type', 'default_scope.name.x'])
def test_option_that_leads_nowhere(key: str, project: Project) -> None:
    config = project('mmseg')
    refuses(
        lambda: load_config(config, options={key: 7}),
        f'--cfg-options {key} = 7',
        'a key that fits the config',
    )


@pytest.mark.parametrize(
    ('key', 'right'),
    [
        ('train_dataloader.batchsize', 'train_dataloader.batch_size'),
        ('optm_wrapper.optimizer.lr', 'optim_wrapper.optimizer.lr'),
        ('optim_wrapper.optimiser.lr', 'optim_wrapper.optimizer.lr'),
        ('load_form', 'load_from'),
    ],
)
def test_misspelt_option(key: str, right: str, project: Project) -> None:
    config = project('mmseg')
    refuses(lambda: load_config(config, options={key: 7}), f'--cfg-options {key} = 7', f'expected {right}')


@pytest.mark.parametrize('key', ['randomness.seed', 'my_own', 'model.stage9', 'train_dataloader.timeout'])
def test_new_option(key: str, project: Project) -> None:
    value = load_config(project('mmseg'), options={key: 7})
    for part in key.split('.'):
        value = value[part]
    assert value == 7


def test_option_data_root_would_do_nothing(project: Project) -> None:
    refuses(
        lambda: load_config(project('mmseg'), options={'data_root': 'x'}),
        "--cfg-options data_root = 'x'",
        '--data-root DIR',
    )
