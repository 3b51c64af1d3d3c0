"""The same seed, machine and number of threads: the same losses and weights, bit for bit, for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small_runs

TASKS = tuple(small_runs.CONFIGS)
#: Two epochs, or as many steps.
SHORT: dict[str, dict[str, Any]] = {
    'pose': {'train_cfg.max_epochs': 2},
    'segmentation': {'train_cfg.max_iters': 6, 'train_cfg.val_interval': 6},
    'detection': {'train_cfg.max_epochs': 2},
}
#: Nothing of ours that looks after random numbers.
PLAIN: dict[str, Any] = {'default_hooks.resume.type': 'EmptyCacheHook'}


def run(task: str, name: str, **options: Any) -> dict[str, Any]:
    """The state that a short training ends in, losses of every step among it."""
    folder = Path.cwd()
    config = small_runs.write_project(folder, task)
    checkpoint = small_runs.train(config, folder / name, resume=False, **SHORT[task], **PLAIN, **options)
    return small_runs.training_state(checkpoint)


@pytest.mark.usefixtures('own_folder')
@pytest.mark.parametrize('task', TASKS)
def test_one_seed_gives_the_same_losses_twice_and_another_others(task: str) -> None:
    """Were nothing random, the first would say nothing."""
    first = run(task, 'first')
    assert sum('loss' in name for name in first) >= 2
    assert small_runs.differences(first, run(task, 'second')) == []
    different = small_runs.differences(first, run(task, 'other', **{'randomness.seed': 4}))
    assert any('loss' in name for name in different)


@pytest.mark.nightly
@pytest.mark.usefixtures('own_folder')
def test_so_it_does_with_data_workers() -> None:
    first, second = (run('pose', name, workers=2) for name in ('first', 'second'))
    assert small_runs.differences(first, second) == []
