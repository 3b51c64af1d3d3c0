"""Two processes train a joint model as one does with the double batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from children import Child
from jobs import SECONDS, TESTS, pair
from mmengine.config import Config
from mmengine.registry import HOOKS
from peers import assert_close
from tasks import KEPT, Keep, training, write_tasks

from hrnet_mm.config.joining import join_configs
from hrnet_mm.training.run import run_train
from hrnet_mm.utils import map_leaves

pytestmark = pytest.mark.nightly
TASKS = ('pose', 'segmentation', 'detection')


@HOOKS.register_module(force=True)
class KeepJoint(Keep):
    """Of batches of several tasks."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        for batch in data_batch.values():
            super().before_train_iter(runner, batch_idx, batch)


def _joint(place: Path, *, launcher: str, batch_size: int) -> Config:
    files: dict[str, str] = {}
    rank = os.environ.get('RANK', '0')
    for task in TASKS:
        os.chdir(place / task)
        single = training(task, launcher='none', batch_size=batch_size)

        def own(value: Any, task: str = task) -> Any:
            relative = isinstance(value, str) and value.startswith('data')
            return str(place / task / value) if relative else value

        files[task] = str(place / f'{task}_{launcher}_{rank}.py')
        Config(map_leaves(single.to_dict(), own)).dump(files[task])
    joint = join_configs(files, backbone=dict(upsample_cfg=dict(mode='nearest'), norm_eval=True))
    base = Config.fromfile(TESTS.parent / 'configs' / '_base_' / 'multi_task.py').to_dict()
    base |= {key: joint[key] for key in ('model', 'train_dataloader', 'optim_wrapper')}
    base |= dict.fromkeys(('val_cfg', 'test_cfg'))
    base |= dict(
        custom_hooks=[dict(type='KeepJoint')], data_check=False, launcher=launcher, randomness=dict(seed=0)
    )
    base['train_cfg'] |= dict(max_iters=10)
    return Config(base | dict(work_dir=str(place / launcher)))


def _weights(place: Path, *, launcher: str, batch_size: int) -> Any:
    run_train(_joint(place, launcher=launcher, batch_size=batch_size))
    return dict(KEPT)


def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    write_tasks(tmp_path)
    one = Child(lambda: _weights(tmp_path, launcher='none', batch_size=4)).result(seconds=SECONDS)
    two = pair(lambda: _weights(tmp_path, launcher='pytorch', batch_size=2))
    assert any(bool((one['start'][name] != one['end'][name]).any()) for name in one['end'])
    for kept in two:
        assert_close(kept['end'], one['end'], rel=1e-6, what='weight')
