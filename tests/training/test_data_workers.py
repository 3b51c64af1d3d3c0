"""No data worker outlives the run that started it."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hrnet_mm.config.load import load_config
from hrnet_mm.training.run import run_test, run_train

pytestmark = pytest.mark.usefixtures('own_folder')

LOOPS = {
    'epochs': {'train_cfg.max_epochs': 1},
    'iterations': {'train_cfg': dict(type='IterBasedTrainLoop', max_iters=2, _delete_=True)},
    'iterations with exact resuming': {
        'train_cfg': dict(type='IterBasedTrainLoop', max_iters=2, _delete_=True),
        'default_hooks.resume': dict(type='hrnet_mm.ExactResumeHook'),
    },
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """What is alive after a run is alive for good."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize('loop', LOOPS)
def test_workers_end_with_the_run(loop: str, project: Callable[[str], Path], uncollected: None) -> None:
    options = {
        f'{stage}_dataloader.{key}': value
        for stage in ('train', 'val', 'test')
        for key, value in (('num_workers', 2), ('persistent_workers', True))
    }
    cfg = load_config(project('mmseg'), options={**options, **LOOPS[loop]})
    checkpoint = run_train(cfg)
    assert not multiprocessing.active_children()
    run_test(cfg, checkpoint)
    assert not multiprocessing.active_children()
    start = time.monotonic()
    gc.collect()
    assert time.monotonic() - start < 4, 'torch waits for five seconds for a worker that was not told'
