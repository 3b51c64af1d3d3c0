"""Resuming from where MMEngine alone would not: inside of an epoch, without a seed, from damaged files."""

from __future__ import annotations

import itertools
import os
import resource
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from forked import Trial
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmseg.evaluation import IoUMetric
from small_runs import ROOT, differences, train, training_state, write_project

from hrnet_mm.checkpoints import CheckpointError
from hrnet_mm.training.checkpoint_hook import what_is_wrong

pytestmark = pytest.mark.nightly


@HOOKS.register_module(force=True)
class NoRoomHook(Hook):
    """From an iteration on, counted from 0, no file of this process may grow beyond a size in bytes."""

    def __init__(self, iteration: int, size: int) -> None:
        self._iteration, self._size = iteration, size

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self._iteration:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, resource.RLIM_INFINITY))


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segmentation, trained undisturbed into ``whole``."""
    place = tmp_path_factory.mktemp('cases')
    write_project(place, 'segmentation')
    start(place, 'whole').finish()
    return place


def start(
    place: Path, name: str, *, config: str = 'segmentation', die_after: int | None = None, **options: Any
) -> Trial:
    def task() -> None:
        os.chdir(place)
        train(place / f'{config}.py', Path(name), **options)

    return Trial(task, log=place / f'{name}.log', die_after=die_after)


def state(place: Path, name: str) -> dict[str, Any]:
    return training_state(place / (place / name / 'last_checkpoint').read_text())


def kill(place: Path, name: str, *, after: int, **more: Any) -> None:
    """Train until the process kills itself at the end of its so-manieth iteration."""
    trial = start(place, name, die_after=after, **more)
    trial.follow()
    assert trial.was_killed, trial.log.read_text()[-3000:]


def test_mmengine_alone_ends_elsewhere(place: Path) -> None:
    """What the hook is for; should this fail one day, the hook may go."""
    text = (place / 'segmentation.py').read_text()
    (place / 'alone.py').write_text(text.replace("resume=dict(type='hrnet_mm.ExactResumeHook'),", ''))
    start(place, 'alone_whole', config='alone').finish()
    kill(place, 'alone', config='alone', after=8)
    start(place, 'alone', config='alone').finish()
    found = differences(state(place, 'alone'), state(place, 'alone_whole'))
    assert any(name.startswith('.state_dict') for name in found)


def test_without_a_fixed_seed_the_drawn_one_is_kept(place: Path) -> None:
    text = (place / 'segmentation.py').read_text()
    (place / 'unseeded.py').write_text(text.replace('randomness = dict(seed=3)', ''))
    kill(place, 'unseeded', config='unseeded', after=8)
    start(place, 'unseeded', config='unseeded', workers=2).finish()
    found = state(place, 'unseeded')
    start(place, 'seeded', **{'randomness.seed': found['.seed']}).finish()
    assert differences(found, state(place, 'seeded')) == []


def test_checkpoints_inside_of_an_epoch(tmp_path: Path) -> None:
    """Pose, 5 iterations an epoch, saved every 3."""
    write_project(tmp_path, 'pose')
    options = {'default_hooks.checkpoint.by_epoch': False, 'default_hooks.checkpoint.interval': 3}
    start(tmp_path, 'whole', config='pose', **options).finish()
    for iterations in (8, 9):
        kill(tmp_path, 'killed', config='pose', after=iterations, **options)
    start(tmp_path, 'killed', config='pose', workers=2, **options).finish()
    assert differences(state(tmp_path, 'killed'), state(tmp_path, 'whole')) == []


def test_what_is_outdated_goes_after_the_new_is_whole(place: Path) -> None:
    def task() -> None:
        os.chdir(place)
        remove, scores = LocalBackend.remove, itertools.count()

        def noted(self: LocalBackend, path: str) -> None:
            whole = sorted(name.stem for name in Path(path).parent.glob('*.pth') if not what_is_wrong(name))
            print('removes', Path(path).stem, *whole)
            remove(self, path)

        LocalBackend.remove = noted
        IoUMetric.compute_metrics = lambda *_: {'mIoU': next(scores)}
        train(place / 'segmentation.py', Path('order'))

    printed = Trial(task, log=place / 'order.log').finish()
    removals = [line.split()[1:] for line in printed.splitlines() if line.startswith('removes ')]
    beside = {name: whole for name, *whole in removals}
    numbers = range(3, 25, 3)  # of 3, 6 ... 30 all but the last two
    assert {name for name in beside if name.startswith('iter')} == {f'iter_{n}' for n in numbers}
    assert all({f'iter_{n + 3}', f'iter_{n + 6}'} <= set(beside[f'iter_{n}']) for n in numbers)
    best = [f'best_mIoU_iter_{n}' for n in (6, 12, 18, 24, 30)]
    assert [name for name in beside if name.startswith('best')] == best[:-1]
    assert all(new in beside[old] for old, new in itertools.pairwise(best))


def test_a_damaged_last_checkpoint_is_passed_over_and_refused_where_it_was_named(place: Path) -> None:
    shutil.copytree(place / 'whole', place / 'damaged')
    last = place / 'damaged' / 'iter_30.pth'
    (place / 'damaged' / 'last_checkpoint').write_text(str(last))
    os.truncate(last, last.stat().st_size // 2)
    shutil.copy(last, place / 'cut.pth')

    def task() -> None:
        os.chdir(place)
        with pytest.raises(CheckpointError, match=r'cut\.pth: is damaged'):
            train(place / 'segmentation.py', Path('named'), resume=place / 'cut.pth')

    Trial(task, log=place / 'named.log').finish()
    printed = start(place, 'damaged').finish()
    assert f'resuming from {last.with_name("iter_27.pth")}; passed over: {last} is damaged' in printed
    assert differences(state(place, 'damaged'), state(place, 'whole')) == []


def test_a_full_disk_ends_in_one_line_and_leaves_the_previous_checkpoint(place: Path) -> None:
    """Full before iteration 8; saved at 3 and 6, the best one at 6; 9 is the first that does not fit."""

    def task() -> None:
        os.chdir(place)
        sys.argv = ['train.py', 'full.py', '--work-dir', 'full']
        try:
            runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
        except SystemExit as end:
            print('exit code', end.code)

    size = (place / 'whole' / 'iter_30.pth').stat().st_size
    hook = f"custom_hooks += [dict(type='NoRoomHook', iteration=7, size={size // 2})]\n"
    (place / 'full.py').write_text((place / 'segmentation.py').read_text() + hook)
    printed = Trial(task, log=place / 'full.log').finish()
    line = next(line for line in printed.splitlines() if line.startswith('error: '))
    assert line.startswith(f'error: checkpoint {place}/full/iter_9.pth: cannot be written (File too large; ')
    assert ' MB needed, ' in line and ' MB free)' in line
    whole = place / 'full' / 'iter_6.pth'
    assert line.endswith(f'the previous checkpoint {whole} is intact, and --resume continues from it')
    assert 'exit code 2' in printed and 'Traceback' not in printed
    assert what_is_wrong(whole) is None
    assert not list((place / 'full').glob('*.tmp'))
    start(place, 'full').finish()
    assert differences(state(place, 'full'), state(place, 'whole')) == []
