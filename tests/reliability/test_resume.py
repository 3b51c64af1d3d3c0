"""Trainings killed at random steps and resumed end in the weights of a training that nobody disturbed."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forked import Trial, die
from mmengine.fileio import LocalBackend
from mmengine.optim import OptimWrapper
from small_runs import CONFIGS, ITERATIONS, differences, train, training_state, write_project

State = Mapping[str, Any]
#: how often a training is killed in a random step, and which part of the step has then just begun
RANDOM_KILLS, PARTS = 4, ('backward', 'step', 'zero_grad')


def _half_written(name: str) -> None:
    """Die with half of a file on the disk."""
    sync = os.fsync

    def cut(handle: int) -> None:
        path = os.readlink(f'/proc/self/fd/{handle}')
        if name in path:
            os.truncate(path, os.path.getsize(path) // 2)
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


def _in_step(part: str, number: int) -> None:
    """Die in the so-manieth step of this process: before gradients, before the update, or after it."""
    calls = itertools.count(1)
    method = getattr(OptimWrapper, part)

    def counted(*args: Any, **kwargs: Any) -> Any:
        return die() if next(calls) == number else method(*args, **kwargs)

    setattr(OptimWrapper, part, counted)


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


@pytest.mark.nightly
def test_killed_and_resumed_equals_undisturbed(task: str, config: Path, undisturbed: State) -> None:
    chance = random.Random(f'{task} 1')
    # far enough for a checkpoint now and then
    steps = [partial(_in_step, chance.choice(PARTS), chance.randint(2, 6)) for _ in range(RANDOM_KILLS)]
    for number, moment in enumerate([*steps, *MOMENTS.values()]):
        trial = _start(config, 'killed', workers=number % 2 * 2, moment=moment)
        trial.follow()
        assert trial.was_killed, trial.log.read_text()[-3000:]

    _start(config, 'killed', workers=2).finish()
    assert differences(_final_state(config, 'killed'), undisturbed) == []
    left = sorted(path.name for path in (config.parent / 'killed').iterdir() if path.is_file())
    expected = sorted(path.name for path in (config.parent / 'undisturbed').iterdir() if path.is_file())
    assert left == expected


def _start(
    config: Path, name: str, *, workers: int = 0, moment: Callable[[], None] | None = None, **options: Any
) -> Trial:
    def task() -> None:
        os.chdir(config.parent)
        if moment is not None:
            moment()
        train(config, Path(name), workers=workers, **options)

    return Trial(task, log=config.parent / f'{name}.log')


def _final_state(config: Path, name: str) -> State:
    folder = config.parent / name
    state = training_state(Path(config.parent / (folder / 'last_checkpoint').read_text()))
    assert state['.iter'] == ITERATIONS[config.stem]
    return state
