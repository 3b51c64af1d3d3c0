"""Trainings killed at random moments and resumed end in the weights of a training that nobody disturbed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forked import Trial, die
from mmengine.fileio import LocalBackend
from small_runs import CONFIGS, ITERATIONS, differences, train, training_state, write_project

State = Mapping[str, Any]
#: how often a training is killed at a random moment, and how long a step may be, in seconds
RANDOM_KILLS, STEP = 4, 0.2


def _half_written(name: str) -> None:
    """Die with half of a file on the disk."""
    sync = os.fsync

    def cut(handle: int) -> None:
        if name in os.readlink(f'/proc/self/fd/{handle}'):
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
            sync(handle)
            die()
        sync(handle)

    os.fsync = cut


def _not_renamed(name: str) -> None:
    """Die with a file whole, and not yet under its name."""
    replace = os.replace
    os.replace = lambda aside, target: die() if name in str(target) else replace(aside, target)


def _not_removed() -> None:
    """Die before an outdated checkpoint is removed."""
    LocalBackend.remove = lambda self, path: die()


#: moments of saving a checkpoint, each set up in a process that then dies of it
MOMENTS: Mapping[str, Callable[[], None]] = {
    'half of the checkpoint': partial(_half_written, '.pth'),
    'checkpoint not renamed': partial(_not_renamed, '.pth'),
    'half of last_checkpoint': partial(_half_written, 'last_checkpoint'),
    'outdated one not removed': _not_removed,
}


@pytest.fixture(scope='module', params=CONFIGS)
def task(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope='module')
def config(task: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp(task), task)


@pytest.fixture(scope='module')
def undisturbed(config: Path) -> State:
    """State after a training in one go."""
    _start(config, 'undisturbed').finish()
    return _final_state(config, 'undisturbed')


@pytest.mark.slow
def test_killed_and_resumed_equals_undisturbed(task: str, config: Path, undisturbed: State) -> None:
    chance = random.Random(f'{task} 1')
    kills = 0
    for number, moment in enumerate([None] * RANDOM_KILLS + list(MOMENTS)):
        trial = _start(config, 'killed', workers=number % 2 * 2, moment=moment)
        # Far enough for a checkpoint now and then; where a moment of saving is set up, that comes first.
        reports = chance.randint(1, 7) if moment is None else None
        if trial.follow(until=reports):
            trial.follow_for(chance.uniform(0, STEP))
        kills += trial.kill()
    assert kills == RANDOM_KILLS + len(MOMENTS)

    _start(config, 'killed', workers=2).finish()
    assert differences(_final_state(config, 'killed'), undisturbed) == []
    left = sorted(path.name for path in (config.parent / 'killed').iterdir() if path.is_file())
    expected = sorted(path.name for path in (config.parent / 'undisturbed').iterdir() if path.is_file())
    assert left == expected


def _start(config: Path, name: str, *, workers: int = 0, moment: str | None = None, **options: Any) -> Trial:
    def task() -> None:
        os.chdir(config.parent)
        if moment is not None:
            MOMENTS[moment]()
        train(config, Path(name), workers=workers, **options)

    return Trial(task, log=config.parent / f'{name}.log')


def _final_state(config: Path, name: str) -> State:
    folder = config.parent / name
    state = training_state(Path(config.parent / (folder / 'last_checkpoint').read_text()))
    assert state['.iter'] == ITERATIONS[config.stem]
    return state


@pytest.mark.slow
def test_undisturbed_does_not_depend_on_workers(config: Path, undisturbed: State) -> None:
    _start(config, 'workers', workers=2).finish()
    assert differences(_final_state(config, 'workers'), undisturbed) == []
