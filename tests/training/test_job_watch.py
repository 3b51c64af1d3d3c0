"""What is told in one line, and what is left alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.distributed import DistBackendError

from hrnet_mm.training import job_watch
from hrnet_mm.training.job_watch import JobWatch, LostProcess


@pytest.fixture(autouse=True)
def of_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a group of two, with SIGTERM as it was afterwards."""
    monkeypatch.setattr('hrnet_mm.training.job_watch.get_world_size', lambda: 2)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ('error', 'what'),
    [
        (RuntimeError('[gloo/transport/tcp/pair.cc:547] Connection closed by peer'), 'died'),
        (
            RuntimeError('[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 5ms'),
            'did not answer in time',
        ),
        (
            DistBackendError('NCCL error: remote process exited\nmore'),
            'was lost (DistBackendError: NCCL error',
        ),
    ],
)
def test_lost_processes_are_told(error: Exception, what: str, tmp_path: Path) -> None:
    with pytest.raises(LostProcess) as caught, JobWatch(tmp_path, doing='testing'):
        raise error
    message = str(caught.value)
    assert message.startswith('another process of this job ') and what in message and '\n' not in message
    assert message.endswith(' while testing; no checkpoint had been written yet')
    assert caught.value.__cause__ is error
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, 'the launcher would cut the message off'


@pytest.mark.parametrize(
    'error', [RuntimeError('shapes do not fit'), ValueError('gloo'), KeyboardInterrupt()]
)
def test_other_errors_are_left_alone(error: BaseException, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(type(error)) as caught, JobWatch(tmp_path, doing='training'):
        raise error
    assert caught.value is error
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_told_even_where_the_code_in_between_catches_everything(tmp_path: Path) -> None:
    """As MMEngine's formatting of a config does, each time a checkpoint is saved."""
    told = pytest.raises(LostProcess, match=r'^told to stop by SIGTERM .* while training; ')
    with told, JobWatch(tmp_path, doing='training'):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise SyntaxError('failed to format') from error


def test_sigterm_that_comes_while_a_lost_process_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher sends it at once when a process ends, and may be quicker than the message."""
    understand = job_watch._what_happened

    def interrupted(error: BaseException | None) -> str | None:
        os.kill(os.getpid(), signal.SIGTERM)
        return understand(error)

    monkeypatch.setattr(job_watch, '_what_happened', interrupted)
    with pytest.raises(LostProcess, match=' while training; '), JobWatch(tmp_path, doing='training'):
        raise RuntimeError('gloo: Connection closed by peer')


def test_sigterm_ends_data_workers_as_ever(tmp_path: Path) -> None:
    with JobWatch(tmp_path, doing='training'):
        worker = os.fork()
        if worker == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        status = os.waitpid(worker, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


def test_a_process_alone_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hrnet_mm.training.job_watch.get_world_size', lambda: 1)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match=r'^gloo$'), JobWatch(tmp_path, doing='training'):
        assert signal.getsignal(signal.SIGTERM) is before
        raise RuntimeError('gloo')
