"""Trials in processes that may be killed: forked from the tests, whose imports they need not repeat."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

#: longest time that a trial may take in all, in seconds, only against a hang
PATIENCE = 1200.0

_reports: int | None = None
_steps_to_live: int | None = None


def report() -> None:
    """Tell the parent, from inside of a trial, that one more step is done; elsewhere do nothing."""
    global _steps_to_live
    if _reports is not None:
        os.write(_reports, b'.')
    if _steps_to_live is not None:
        _steps_to_live -= 1
        if not _steps_to_live:
            die()


def die() -> None:
    """End this process as ``kill -9`` does: no handler, no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


class Trial:
    """A task that runs in a process of its own.

    Args:
        task: what to run.
        log: file for all that it prints.
        die_after: reports after which it kills itself.
    """

    def __init__(self, task: Callable[[], object], *, log: Path, die_after: int | None = None) -> None:
        self.log = log
        self.reported = 0
        self._status: int | None = None
        self._begun = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self._pipe, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _run(task, log=log, write_end=write_end, die_after=die_after)
        os.close(write_end)

    def follow(self, *, until: int | None = None, patience: float = PATIENCE) -> bool:
        """Wait for so many reports in all, or for the end; gives whether the trial still runs."""
        while self._status is None and (until is None or self.reported < until):
            if time.monotonic() - self._begun > patience:
                self.kill()
                raise TimeoutError(f'{self.log}: {self.log.read_text()[-2000:]}')
            readable, _, _ = select.select([self._pipe], [], [], 0.05)
            self.reported += len(os.read(self._pipe, 1)) if readable else 0
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._end(status)
        return self._status is None

    def kill(self) -> bool:
        """``kill -9``, workers included; gives whether that is what ended it."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            self._end(os.waitpid(self.pid, 0)[1])
        return self.was_killed

    @property
    def was_killed(self) -> bool:
        """Whether it ended by ``kill -9``, its own or ours."""
        return self._status is not None and os.waitstatus_to_exitcode(self._status) == -signal.SIGKILL

    def finish(self, *, patience: float = PATIENCE) -> str:
        """Wait for the end, which must be a good one; gives what was printed."""
        self.follow(patience=patience)
        assert self._status == 0, f'{self._status}: {self.log.read_text()[-3000:]}'
        return self.log.read_text()

    def _end(self, status: int) -> None:
        """Note how it ended, and kill the data workers that a killed trial left behind."""
        self._status = status
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _run(task: Callable[[], object], *, log: Path, write_end: int, die_after: int | None) -> None:
    """The child's whole life."""
    global _reports, _steps_to_live
    code = 1
    try:
        os.setpgid(0, 0)
        gc.freeze()  # collecting the parent's objects would take longer than most trials
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = os.fdopen(1, 'w', closefd=False), os.fdopen(2, 'w', closefd=False)
        _reports, _steps_to_live = write_end, die_after
        task()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
