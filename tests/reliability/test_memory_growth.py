"""Hundreds of training steps and evaluations hold no more than the first ones did."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import small_runs
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from hrnet_mm.config.load import load_config

#: only against a hang
SECONDS = 1200
STEPS = 300
#: Caches, pools and the log's own numbers have come to rest by then.
SETTLED = 100
#: What the allocator gives back or takes by chance; a step's activations are as much, and there are 200.
NOISE = 6 * 2**20
#: Batches differ in their number of boxes.
TENSOR_NOISE = 40 * 2**10

TASKS = tuple(small_runs.CONFIGS)


class Held(NamedTuple):
    """Live tensors, the bytes of their storages (each once), and the process's bytes in memory."""

    tensors: int
    bytes: int
    resident: int


def held() -> Held:
    """What is held now, garbage collected."""
    gc.collect()
    tensors = [item for item in gc.get_objects() if issubclass(type(item), torch.Tensor)]
    storages = {storage._cdata: storage.nbytes() for storage in (x.untyped_storage() for x in tensors)}
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return Held(len(tensors), sum(storages.values()), pages * resource.getpagesize())


class StepProbe(Hook):
    """Measures after some training steps."""

    priority = 'LOWEST'

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.found: dict[int, Held] = {}
        self._steps = steps

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        del data_batch, outputs
        if runner.iter + 1 in self._steps:
            self.found[runner.iter + 1] = held()


def project(folder: Path, task: str) -> Config:
    """A config for one image at a time, in evaluation."""
    cfg = load_config(small_runs.write_project(folder, task), work_dir=folder / 'work')
    cfg.default_hooks = dict(logger=dict(type='LoggerHook', interval=1000), checkpoint=None)
    cfg.custom_hooks = []
    if task == 'detection':  # small_runs trains detectors without evaluating them
        base = Config.fromfile(small_runs.DETECTOR)
        base.val_dataloader.update(num_workers=0, persistent_workers=False)
        data = base.val_dataloader.dataset
        data.update(data_root='data/', ann_file='people.json', metainfo=dict(classes=('person',)))
        data.data_prefix.img = 'images/'
        data.pipeline[1] = dict(type='Resize', scale_factor=1.0)
        base.val_evaluator.ann_file = 'data/people.json'
        cfg.update({name: base[name] for name in ('val_cfg', 'val_dataloader', 'val_evaluator')})
    cfg.val_dataloader.batch_size = 1
    return cfg


def train(folder: Path, task: str) -> dict[int, Held]:
    """What is held after a hundred, two and three hundred steps."""
    cfg = project(folder, task)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=STEPS, val_begin=STEPS + 1)
    # between epochs MMEngine waits for two seconds
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler = None
    cfg.optim_wrapper.optimizer.lr = 1e-4
    probe = StepProbe((SETTLED, 200, STEPS))
    runner = Runner.from_cfg(cfg)
    runner.register_hook(probe)
    runner.train()
    return probe.found


def evaluate(folder: Path, task: str) -> dict[int, Held]:
    """The same of evaluations of one image."""
    cfg = project(folder, task)
    cfg.val_dataloader.dataset.indices = 1
    runner = Runner.from_cfg(cfg)
    runner.val()
    found = {}
    for number in range(2, STEPS + 1):
        runner.val_loop.run()
        if number in (SETTLED, 200, STEPS):
            found[number] = held()
    return found


def measured(work: Callable[[Path, str], Any], folder: Path, task: str) -> Any:
    """What it finds in a new process, which holds nothing of other tests."""
    with get_context('spawn').Pool(1) as process:
        return process.apply_async(work, (folder, task)).get(timeout=SECONDS)


@pytest.mark.nightly
@pytest.mark.parametrize('work', [train, evaluate])
@pytest.mark.parametrize('task', TASKS)
def test_training_or_evaluating_again_and_again_holds_no_more(
    task: str, work: Callable[[Path, str], Any], own_folder: Path
) -> None:
    found = measured(work, own_folder, task)
    print(found)
    first, last = found[SETTLED], found[STEPS]
    assert last.tensors <= first.tensors
    assert last.bytes - first.bytes < TENSOR_NOISE
    assert last.resident - first.resident < NOISE
