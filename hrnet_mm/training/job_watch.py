"""One line instead of a traceback where another process of the job is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint
from torch.distributed import DistError

from ..checkpoints.whole_files import advice
from ..config.errors import one_line

#: what gloo says of a peer -> what that means
_GLOO: Mapping[str, str] = {
    'closed by peer': 'another process of this job died',
    'reset by peer': 'another process of this job died',
    'Broken pipe': 'another process of this job died',
    'imed out': 'another process of this job did not answer in time (env_cfg.dist_cfg.timeout)',
}
_STOPPED = 'told to stop by SIGTERM (another process of this job ended, or the scheduler wants it)'


class LostProcess(RuntimeError):
    """Another process of the job died, hangs, or the whole job was told to stop.

    Args:
        what: happened.
        when: it happened, in the words of the log.
        left: what is left, and how to go on.
    """

    def __init__(self, *, what: str, when: str, left: str) -> None:
        super().__init__(f'{what} {when}; {left}')


class JobWatch:
    """While it is entered, a lost process is told in one line; for a process alone it does nothing.

    Once it has raised, ``SIGTERM`` is ignored: launchers send it when a process ends, and this one is about
    to end, with its message.

    Args:
        work_dir: where checkpoints are.
        doing: what, as in ``'training'``.

    Raises:
        LostProcess: instead of the error of a collective operation, and on ``SIGTERM``.
    """

    def __init__(self, work_dir: str | os.PathLike[str], *, doing: str) -> None:
        self._work_dir = Path(work_dir)
        self._doing = doing
        self._runner: Runner | None = None
        self._before: Any = None
        self._pid: int | None = None
        self._told_to_stop = False

    def follow(self, runner: Runner) -> Runner:
        """Say how far this runner is, in the message."""
        self._runner = runner
        return runner

    def __enter__(self) -> JobWatch:
        if get_world_size() > 1 and threading.current_thread() is threading.main_thread():
            self._pid = os.getpid()
            self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        what = _what_happened(error) if get_world_size() > 1 else None
        if error is not None and self._told_to_stop:
            what = _STOPPED  # whatever a bare ``except`` has made of it on its way
        if self._pid is not None:
            signal.signal(signal.SIGTERM, self._before if what is None else signal.SIG_IGN)
        if what is not None:
            raise LostProcess(what=what, when=self._when(), left=self._left()) from error

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data worker, which inherited this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._told_to_stop = True
        if not self._leaving(frame):
            raise _Terminated

    @staticmethod
    def _leaving(frame: FrameType | None) -> bool:
        """Whether the signal came into ``__exit__``, from which ``_Terminated`` would go up untold."""
        while frame is not None and frame.f_code is not JobWatch.__exit__.__code__:
            frame = frame.f_back
        return frame is not None

    def _when(self) -> str:
        loop = None if self._runner is None else self._runner._train_loop
        if not isinstance(loop, BaseLoop):
            return f'while {self._doing}'
        return f'while {self._doing}, in iteration {min(loop.iter + 1, loop.max_iters)} of {loop.max_iters}'

    def _left(self) -> str:
        return advice(find_latest_checkpoint(str(self._work_dir)))


class _Terminated(BaseException):
    """SIGTERM, on its way up past every ``except Exception``."""


def _what_happened(error: BaseException | None) -> str | None:
    """None where it has nothing to do with other processes."""
    text = str(error)
    if not isinstance(error, DistError) and not (isinstance(error, RuntimeError) and 'gloo' in text):
        return None
    known = (meaning for words, meaning in _GLOO.items() if words in text)
    return next(known, f'another process of this job was lost ({one_line(error)})')
