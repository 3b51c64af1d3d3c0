"""Names of hrnet_mm 0.1 in configs: they work for one release, with a warning that says the new one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS, MODEL_WRAPPERS, DefaultScope
from small_runs import train, write_project

import hrnet_mm
from hrnet_mm.checkpoints.reading import load_file
from hrnet_mm.registry import HOOKS as OUR_HOOKS
from hrnet_mm.training import CPUDistributedDataParallel

OLD_HOOKS = {
    'CompileHook': {},
    'DataGuardHook': {},
    'ExactResumeHook': {},
    'FiniteLossHook': {'skip_up_to': 3},
    'HRNetWeightsHook': {},
    'InferenceFormHook': {},
    'PairPicturesHook': {'show_dir': 'x'},
    'TrainProgressHook': {'title': 'x'},
    'WholeCheckpointHook': {'interval': 2},
}


@pytest.mark.parametrize('name', OLD_HOOKS)
@pytest.mark.parametrize('scope', [None, 'mmdet'])
def test_hooks_have_their_names_in_our_scope(name: str, scope: str | None) -> None:
    arguments = OLD_HOOKS[name]
    with DefaultScope.overwrite_default_scope(scope):
        with pytest.warns(DeprecationWarning, match=rf"type='{name}' has become type='hrnet_mm\.{name}'"):
            old = HOOKS.build(dict(type=name, **arguments))
        new = HOOKS.build(dict(type=f'hrnet_mm.{name}', **arguments))
    assert type(new) is OUR_HOOKS.get(name) and isinstance(old, type(new))
    assert vars(old).keys() == vars(new).keys() and old.priority == new.priority


def test_the_root_registry_holds_no_other_of_our_hooks() -> None:
    ours = {name for name, hook in HOOKS.module_dict.items() if hook.__module__.startswith('hrnet_mm.')}
    assert ours == set(OLD_HOOKS)


def test_a_model_wrapper_is_one_by_either_name() -> None:
    for kind in (CPUDistributedDataParallel, MODEL_WRAPPERS.get('CPUDistributedDataParallel')):
        wrapper = kind.__new__(kind)
        torch.nn.Module.__init__(wrapper)
        assert is_model_wrapper(wrapper)


@pytest.mark.nightly
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_a_run_with_the_old_names_is_resumed_with_the_new(own_folder: Path) -> None:
    """What 0.1 wrote into configs and checkpoints."""
    config = write_project(own_folder, 'segmentation')
    new = config.read_text()
    config.write_text(new.replace("type='hrnet_mm.", "type='"))
    assert "type='WholeCheckpointHook'" in config.read_text()
    first = train(config, own_folder / 'work', **{'train_cfg.max_iters': 3, 'train_cfg.val_interval': 3})
    dumped = Config.fromfile(own_folder / 'work' / 'segmentation.py')
    assert dumped.default_hooks.resume.type == 'ExactResumeHook'
    config.write_text(new)
    last = train(config, own_folder / 'work', **{'train_cfg.max_iters': 6, 'train_cfg.val_interval': 3})
    assert (first.name, last.name) == ('iter_3.pth', 'iter_6.pth')
    assert load_file(last)['meta']['iter'] == 6


def test_old_import_paths_warn() -> None:
    with pytest.warns(DeprecationWarning, match=r'has moved to hrnet_mm\.training\.run_train'):
        from hrnet_mm.engine import run_train
    assert run_train is hrnet_mm.training.run_train
