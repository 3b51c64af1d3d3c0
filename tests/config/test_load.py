"""Configs by path and by package; a wrong file, switch or option is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from refusal import refuses

from hrnet_mm.config.files import find_config, require_file, shipped_configs_folder
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

Project = Callable[[str], Path]
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
FASTER = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco'


def test_workers_persist_where_there_are_any() -> None:
    """torch refuses ``persistent_workers`` beside ``num_workers=0``."""
    options = {'train_dataloader.num_workers': 0}
    cfg = load_config(CONFIGS / 'hrnetv1_w18_small_v1_own_coco.py', options=options)
    assert not cfg.train_dataloader.persistent_workers
    assert cfg.val_dataloader.persistent_workers


def test_own_data_schedules_end_with_the_run() -> None:
    """Counted in epochs, whatever number of images these have."""
    for name in ('hrnetv1_w18_small_v1_own_coco', 'hrnetv2p_w18_small_v1_faster_rcnn_own_coco'):
        cfg = load_config(CONFIGS / f'{name}.py')
        assert all(part.by_epoch and part.convert_to_iter_based for part in cfg.param_scheduler)
        assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_epochs


# --- Finding files


@pytest.mark.parametrize('name', [f'{FASTER}.py', 'mmpretrain::resnet/resnet50_8xb32_in1k.py'])
def test_configs_by_package_are_mmengines_own(name: str) -> None:
    assert load_config(name).model == get_config(name).model


def test_configs_by_other_names() -> None:
    ours = find_config('hrnet_mm::hrnet_w18_imagenet.py')
    assert ours.read_text() == (CONFIGS / 'hrnet_w18_imagenet.py').read_text()
    Path('mine.py').touch()
    assert find_config('mine.py') == Path('mine.py')


def test_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(lambda: find_config('no.py'), "config = 'no.py'", f'looked for {tmp_path}/no.py')
    refuses(lambda: find_config(f'{FASTER}o.py'), f"config = '{FASTER}o.py'", f'nearest is {FASTER}.py')
    refuses(lambda: find_config('torch::x.py'), "config = 'torch::'", 'one of mmpose, mmseg, mmdet')
    monkeypatch.setattr('hrnet_mm.config.files.find_spec', lambda name: None)
    refuses(lambda: shipped_configs_folder('mmseg'), "config = 'mmseg::'", "pip install 'hrnet_mm[seg]'")


def test_files_that_cannot_be_written() -> None:
    def require(path: str) -> Path:
        return require_file(path, key='--out', ending='.json')

    assert require('new/m.json').parent.is_dir()
    refuses(lambda: require('m.txt'), "--out = 'm.txt'", 'ending in .json')
    Path('file').touch()
    refuses(lambda: require('file/m.json'), "--out = 'file'", 'a folder')


# --- Reading them


@pytest.mark.parametrize(
    ('text', 'parts'),
    [
        ('model = dict(', ('config = ', 'readable config (SyntaxError')),
        ("_base_ = './gone.py'", ('config = ', 'gone.py')),
        ("custom_imports = dict(imports=['no_such_module'])", ('config = ', 'no_such_module')),
        ("default_scope = 'mmseg'\n1 / 0", ('config = ', 'ZeroDivisionError')),
        ('a = 1', ('default_scope = None', 'one of mmpose, mmseg,', '--cfg-options default_scope=NAME')),
        ("default_scope = 'mmx'", ("default_scope = 'mmx'", 'one of mmpose, mmseg, mmdet, mmpretrain')),
    ],
)
def test_unreadable_config(text: str, parts: tuple[str, ...]) -> None:
    Path('broken.py').write_text(text)
    refuses(lambda: load_config('broken.py'), *parts)


@pytest.mark.parametrize(('text', 'error'), [("{}['mine']", KeyError), ('import torhc', ImportError)])
def test_a_bug_in_a_module_that_a_config_imports_is_raised_as_it_is(
    text: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f'own_{error.__name__.lower()}'
    (tmp_path / f'{name}.py').write_text(text)
    (tmp_path / 'config.py').write_text(f"custom_imports = dict(imports=['{name}'])")
    with pytest.raises(error):
        load_config(tmp_path / 'config.py')


def test_a_codebase_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for scope, extra in (('mmpose', 'pose'), ('mmpretrain', 'cls')):
        Path('config.py').write_text(f'default_scope = {scope!r}')
        monkeypatch.setitem(sys.modules, scope, None)
        hint = f"pip install 'hrnet_mm[{extra}]'"
        refuses(lambda: load_config('config.py'), f'default_scope = {scope!r}', hint)
    Path('child.py').write_text("_base_ = 'mmseg::_base_/default_runtime.py'")
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda name: False)
    refuses(lambda: load_config('child.py'), "config = 'child.py'", "pip install 'hrnet_mm[seg]'")


@pytest.mark.parametrize(
    ('run', 'key'),
    [
        (run_train, 'model'),
        (run_train, 'optim_wrapper'),
        (lambda cfg: run_test(cfg, 'https://x/y.pth'), 'test_evaluator'),
    ],
)
def test_missing_section(run: Callable[[Config], object], key: str, project: Project) -> None:
    cfg = load_config(project('mmseg'))
    cfg[key] = None
    refuses(lambda: run(cfg), f'{key} = None', f'a section {key!r}')


# --- Switches


def test_work_dir_defaults_to_the_name_of_the_config(project: Project) -> None:
    config = project('mmseg')
    assert load_config(config).work_dir == './work_dirs/tiny_mmseg'
    assert load_config(config, options={'work_dir': 'mine'}).work_dir == 'mine'
    assert load_config(config, work_dir='here', options={'work_dir': 'x'}).work_dir == 'here'


@pytest.mark.parametrize('checkpoint', ['gone.pth', '.'])
def test_missing_checkpoint(checkpoint: str, project: Project, tmp_path: Path) -> None:
    config = project('mmseg')
    cfg = load_config(config)
    where = f'looked for {tmp_path / checkpoint}'
    refuses(lambda: run_test(cfg, checkpoint), f'checkpoint = {checkpoint!r}', where)
    refuses(lambda: load_config(config, resume=checkpoint), f'--resume = {checkpoint!r}', where)
    cfg.load_from = checkpoint
    refuses(lambda: run_train(cfg), f'load_from = {checkpoint!r}', where)


def test_resume(project: Project) -> None:
    """Remote checkpoints are not looked for; without a path it is left to MMEngine, or to our hook."""
    config = project('mmseg')
    for url in ('https://x.org/y.pth', 'open-mmlab://msra/hrnet'):
        cfg = load_config(config, resume=url)
        assert (cfg.resume, cfg.load_from) == (True, url)
    cfg = load_config(config, options={'load_from': 'x.pth'}, resume=True)
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_auto_scale_lr_needs_the_batch_size(project: Project) -> None:
    config = project('mmseg')
    assert load_config(config, auto_scale_lr=True).auto_scale_lr.enable is True
    refuses(
        lambda: load_config(config, options={'auto_scale_lr': None}, auto_scale_lr=True),
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


def test_launchers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    config = project('mmseg')
    for name, variable in (('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')):
        monkeypatch.delenv(variable, raising=False)
        refuses(lambda: load_config(config, launcher=name), f'--launcher = {name!r}', variable)  # noqa: B023
    refuses(lambda: load_config(config, launcher='mpi'), "--launcher = 'mpi'", 'one of none, pytorch, slurm')
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.setenv(name, '0')
    assert load_config(config, launcher='pytorch').launcher == 'pytorch'
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setenv('WORLD_SIZE', '1')
    assert load_config(config).launcher == 'none'
    monkeypatch.setenv('WORLD_SIZE', '4')
    refuses(lambda: load_config(config), "--launcher = 'none'", "'pytorch': torchrun started 4 processes")


# --- --cfg-options


def test_options_are_read_as_mmengine_reads_them() -> None:
    given = ['a=1', 'b.c=0.5', 'd=True', 'e=None', 'f=x=y', 'g=1,2', 'h=[(1,a),2]', 'i.0.j=z', 'k=']
    expected: dict[str, Any] = {'a': 1, 'b.c': 0.5, 'd': True, 'e': None, 'f': 'x=y'}
    expected |= {'g': [1, 2], 'h': [(1, 'a'), 2], 'i.0.j': 'z', 'k': ''}
    assert parse_options(given) == expected


@pytest.mark.parametrize('item', ['abc', '=1', 'a..b=1', 'a.=1', ''])
def test_malformed_option(item: str) -> None:
    refuses(lambda: parse_options(['ok=1', item]), f'--cfg-options = {item!r}', 'KEY=VALUE')
    refuses(lambda: parse_options(['a.b=[(1,2]']), "--cfg-options a.b = '[(1,2]'", 'balanced')


@pytest.mark.parametrize(
    ('key', 'expected'),
    [
        ('pipeline.9.type', 'a key that fits the config'),
        ('default_scope.name.x', 'a key that fits the config'),
        ('train_dataloader.batchsize', 'expected train_dataloader.batch_size'),
        ('optm_wrapper.optimizer.lr', 'expected optim_wrapper.optimizer.lr'),
        ('load_form', 'expected load_from'),
        ('data_root', '--data-root DIR'),  # copies of the old one would stay
    ],
)
def test_wrong_option(key: str, expected: str, project: Project) -> None:
    config = project('mmseg')
    refuses(lambda: load_config(config, options={key: 7}), f'--cfg-options {key} = 7', expected)


def test_new_options(project: Project) -> None:
    keys = ('randomness.seed', 'my_own', 'model.stage9', 'train_dataloader.timeout')
    cfg = load_config(project('mmseg'), options=dict.fromkeys(keys, 7))
    assert cfg.randomness.seed == cfg.my_own == cfg.model.stage9 == cfg.train_dataloader.timeout == 7
