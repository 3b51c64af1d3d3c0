"""Our tools and a plain Runner, as `mim train` has it, guard alike; what ends a run is told in one line."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from refusal import refuses
from torch.distributed import DistBackendError

from hrnet_mm.config import ConfigError, load_config
from hrnet_mm.training import Interrupted, LostProcess, RunGuardHook, guards, run_train
from hrnet_mm.training.guards import RunWatch

Project = Callable[[str], Path]
SIGTERM_HERE = (os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What a run changes, and puts back unless the program is about to end."""
    handler, hook, limit = signal.getsignal(signal.SIGTERM), sys.excepthook, Image.MAX_IMAGE_PIXELS
    yield
    signal.signal(signal.SIGTERM, handler)
    sys.excepthook, Image.MAX_IMAGE_PIXELS = hook, limit


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a group of two."""
    monkeypatch.setattr('hrnet_mm.training.guards.get_world_size', lambda: 2)


# --- RunWatch


@pytest.mark.parametrize(
    ('error', 'processes', 'what'),
    [
        (RuntimeError('[gloo/transport/tcp/pair.cc:547] Connection closed by peer'), 2, 'died'),
        (RuntimeError('[gloo/transport/tcp/unbound_buffer.cc] Timed out waiting 5ms'), 2, 'did not answer'),
        (DistBackendError('NCCL error: remote\nmore'), 2, 'was lost (DistBackendError: NCCL error'),
        (RuntimeError('shapes do not fit'), 2, None),
        (RuntimeError('gloo'), 1, None),
    ],
)
def test_lost_processes_are_told_and_other_errors_left_alone(
    error: Exception, processes: int, what: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('hrnet_mm.training.guards.get_world_size', lambda: processes)
    with pytest.raises(RuntimeError) as caught, RunWatch(tmp_path, doing='training'):
        raise error
    # the launcher would cut the message off
    assert (signal.getsignal(signal.SIGTERM) is signal.SIG_IGN) == (what is not None)
    if what is None:
        assert caught.value is error
        return
    message = str(caught.value)
    assert message.startswith(f'another process of this job {what}') and '\n' not in message
    assert message.endswith(' while training; no checkpoint had been written yet')
    assert isinstance(caught.value, LostProcess) and caught.value.__cause__ is error


def test_sigterm_is_told_even_where_the_code_in_between_catches_everything(tmp_path: Path) -> None:
    """As MMEngine's formatting of a config does, each time a checkpoint is saved."""
    with pytest.raises(Interrupted) as caught, RunWatch(tmp_path, doing='training'):
        try:
            os.kill(*SIGTERM_HERE)
        except BaseException as error:
            raise SyntaxError('failed to format') from error
    assert caught.value.exit_code == 143


def test_sigterm_that_comes_while_a_lost_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_two: None
) -> None:
    """A launcher sends it at once when a process ends, and may be quicker than the message."""
    understand = guards._what_happened

    def interrupted(error: BaseException | None) -> str | None:
        os.kill(*SIGTERM_HERE)
        return understand(error)

    monkeypatch.setattr(guards, '_what_happened', interrupted)
    with pytest.raises(LostProcess, match=' while training; '), RunWatch(tmp_path, doing='training'):
        raise RuntimeError('gloo: Connection closed by peer')


def test_sigterm_ends_data_workers_as_ever(tmp_path: Path) -> None:
    with RunWatch(tmp_path, doing='training'):
        worker = os.fork()
        if worker == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        status = os.waitpid(worker, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


# --- A plain Runner, whose config has the hooks of configs/_base_/hooks.py


class EndsHook(Hook):
    """Ends the run in its second iteration."""

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        if runner.iter == 1:
            self._end()


def raising(error: BaseException) -> Callable[[], object]:
    def end() -> None:
        raise error

    return end


@pytest.fixture
def guarded(project: Project, tmp_path: Path) -> Callable[..., Config]:
    """The config of a scope's tiny project with our guard, as the packages' tools read it."""

    def read(scope: str, **settings: Any) -> Config:
        cfg = Config.fromfile(project(scope))
        cfg.merge_from_dict({'work_dir': str(tmp_path / 'work'), 'train_cfg.max_epochs': 2} | settings)
        cfg.default_hooks.guard = dict(type='hrnet_mm.RunGuardHook')
        return cfg

    return read


def told_at_the_end(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Exit code and last line of a program that ends by an error, as Python ends it."""
    with pytest.raises(SystemExit) as end:
        sys.excepthook(type(error), error, error.__traceback__)
    return end.value.code, capsys.readouterr().err.splitlines()[-1]


def test_a_plain_runner_checks_the_data_and_says_so_in_one_line(
    guarded: Callable[..., Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, file = guarded('mmdet'), tmp_path / 'data/people.json'
    content = json.loads(file.read_text())
    content['annotations'][0]['bbox'][2] = float('nan')
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r'people\.json.*annotation 1: ') as caught:
        Runner.from_cfg(cfg).train()
    assert told_at_the_end(caught.value, capsys) == (2, f'error: {caught.value}')
    Runner.from_cfg(guarded('mmdet', data_check=False)).train()


def test_a_plain_runner_leaves_damaged_images_out_and_nothing_behind(
    guarded: Callable[..., Config], tmp_path: Path
) -> None:
    cfg = guarded('mmdet', max_image_pixels=10_000, val_dataloader=None, val_evaluator=None, val_cfg=None)
    before = sys.excepthook, signal.getsignal(signal.SIGTERM), Image.MAX_IMAGE_PIXELS
    (tmp_path / 'data/images/b.jpg').write_bytes(b'hello')
    Runner.from_cfg(cfg).train()
    (log,) = (tmp_path / 'work').glob('*/*.log')
    assert 'faulty samples met' in log.read_text()
    assert (sys.excepthook, signal.getsignal(signal.SIGTERM), Image.MAX_IMAGE_PIXELS) == before


@pytest.mark.parametrize(
    ('end', 'code', 'what'),
    [
        (raising(KeyboardInterrupt()), 130, 'stopped by Ctrl-C while training, in iteration 2 of 4'),
        (partial(os.kill, *SIGTERM_HERE), 143, 'told to stop by SIGTERM while training, in iteration 2 of 4'),
        (raising(OSError(errno.ENOSPC, 'full', 'x.log')), 2, 'checkpoint x.log: cannot be written (full'),
    ],
)
def test_a_plain_runner_ends_in_one_line_that_names_the_last_checkpoint(
    end: Callable[[], object],
    code: int,
    what: str,
    guarded: Callable[..., Config],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(BaseException) as caught:
        runner = Runner.from_cfg(guarded('mmpretrain'))
        (tmp_path / 'work/last_checkpoint').write_text('iter_3.pth')
        runner.register_hook(EndsHook(end))
        runner.train()
    status, line = told_at_the_end(caught.value, capsys)
    assert status == code and line.startswith(f'error: {what}')
    assert 'iter_3.pth' in line and '--resume' in line


def test_our_own_way_needs_no_hook_in_the_config_and_adds_no_second(
    project: Project, guarded: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks: list[list[Hook]] = []
    monkeypatch.setattr(Runner, 'train', lambda self: hooks.append(self.hooks))
    for cfg in (load_config(project('mmpretrain')), guarded('mmpretrain')):
        refuses(lambda: run_train(cfg), 'default_hooks.checkpoint', 'training saved nothing')  # noqa: B023
    assert [sum(isinstance(hook, RunGuardHook) for hook in found) for found in hooks] == [1, 1]
