"""What guards a run, by our tools and by the packages' own: checks before it, one line where it is ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint
from torch.distributed import DistError

from ..checkpoints.files import advice, full_disk
from ..config.errors import one_line
from ..data.guard import DataGuardHook
from ..data.images import pixel_limit
from ..registry import HOOKS
from .checks import check_run
from .command_line import end_in_one_line
from .processes import Interrupted, LostProcess
from .rehearsal import rehearse_batch, rehearse_metrics, rehearse_prediction

#: what gloo says of a peer -> what that means
_GLOO: Final[Mapping[str, str]] = {
    'closed by peer': 'another process of this job died',
    'reset by peer': 'another process of this job died',
    'Broken pipe': 'another process of this job died',
    'imed out': 'another process of this job did not answer in time (env_cfg.dist_cfg.timeout)',
}


class RunWatch:
    """While it is entered, what ends a run from outside is told in one line, with the way to go on.

    Once several processes were told, ``SIGTERM`` is ignored: launchers send it when one of them ends, and
    this one is about to end, with its message.

    Args:
        work_dir: where checkpoints are.
        doing: what, ``'training'`` or ``'testing'``.

    Raises:
        LostProcess: instead of the error of a collective operation.
        Interrupted: on Ctrl-C and ``SIGTERM``.
        CheckpointError: instead of the ``OSError`` of a full disk.
    """

    def __init__(self, work_dir: str | os.PathLike[str], *, doing: str) -> None:
        self._work_dir = Path(work_dir)
        self._doing = doing
        self._before: Any = None
        self._pid: int | None = None
        self._told_to_stop = False
        self.runner: Runner | None = None

    def __enter__(self) -> RunWatch:
        if threading.current_thread() is threading.main_thread():
            self._pid = os.getpid()
            self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told = self.explain(error)
        if self._pid is not None:
            ends_with_others = told is not None and get_world_size() > 1
            signal.signal(signal.SIGTERM, signal.SIG_IGN if ends_with_others else self._before)
        if told is not None:
            raise told from error

    def explain(self, error: BaseException | None) -> BaseException | None:
        """What to raise instead of an error; None where the error says it best."""
        several = get_world_size() > 1
        if error is not None and self._told_to_stop:  # whatever a bare ``except`` has made of it on its way
            why = ' (another process of this job ended, or the scheduler wants it)' if several else ''
            return Interrupted(self._message(f'told to stop by SIGTERM{why}'), signal.SIGTERM)
        if isinstance(error, KeyboardInterrupt):
            return Interrupted(self._message('stopped by Ctrl-C'), signal.SIGINT)
        if isinstance(error, OSError) and self._doing == 'training':
            return full_disk(error, self._work_dir)
        what = _what_happened(error) if several else None
        return LostProcess(self._message(what)) if what else None

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data worker, which inherited this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._told_to_stop = True
        while frame is not None and frame.f_code is not RunWatch.__exit__.__code__:
            frame = frame.f_back
        if frame is None:  # else it would go up untold from ``__exit__``, which is about to raise anyway
            raise KeyboardInterrupt  # which no ``except Exception`` stops

    def _message(self, what: str) -> str:
        loop = None if self.runner is None else self.runner._train_loop
        where = f'{what} while {self._doing}'
        if self._doing != 'training':
            return where
        if isinstance(loop, BaseLoop):
            where += f', in iteration {min(loop.iter + 1, loop.max_iters)} of {loop.max_iters}'
        return f'{where}; {advice(find_latest_checkpoint(str(self._work_dir)))}'


def _what_happened(error: BaseException | None) -> str | None:
    """None where it has nothing to do with other processes."""
    text = str(error)
    if not isinstance(error, DistError) and not (isinstance(error, RuntimeError) and 'gloo' in text):
        return None
    known = (meaning for words, meaning in _GLOO.items() if words in text)
    return next(known, f'another process of this job was lost ({one_line(error)})')


@HOOKS.register_module()
class RunGuardHook(Hook):
    """Guards a training or a test, whoever starts it.

    - Before it: the model's parts fit each other, the data can be used (``check_run``), the metrics can be
      computed and a batch can be learned (``rehearsal``).
    - In it: damaged samples are left out of training and told about (``DataGuardHook``).
    - At its end: a full disk, a lost process, Ctrl-C and SIGTERM are told in one line (``RunWatch``).

    ``run_train`` and ``run_test`` do the checks before a runner is built, and add this hook where a config
    lacks it. Started by ``mim train`` or a script with a ``Runner``, the hook checks when the runner starts,
    and the program ends in one line (``sys.excepthook``) where an error is the user's to mend.

    ``data_check=False`` in a config switches off what concerns data.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._watch: RunWatch | None = None
        self._lines: Sequence[str] = ()
        self._data: DataGuardHook | None = None
        self._entered = ExitStack()

    @classmethod
    def hand_over(cls, runner: Runner, watch: RunWatch, lines: Sequence[str]) -> None:
        """Tell the runner's guard that the checks are done, and who watches.

        Args:
            runner: with a guard or not; then it gets one.
            watch: is entered.
            lines: what is known of the data, for the log to start with.
        """
        if not any(isinstance(hook, cls) for hook in runner.hooks):
            runner.register_hook(cls())
        for hook in runner.hooks:
            if isinstance(hook, cls):
                hook._watch, hook._lines = watch, lines
        watch.runner = runner

    def before_run(self, runner: Runner) -> None:
        """Check, where nobody has, and guard the data sets before workers are started."""
        if self._watch is None:
            self._start_alone(runner)
        if runner.cfg.get('data_check') is not False:
            self._data = DataGuardHook(self._lines)
            self._data.before_run(runner)
            for stage in ('val', 'test') if isinstance(runner._test_loop, BaseLoop) else ('val',):
                for line in rehearse_metrics(runner, stage=stage):
                    runner.logger.warning(line)
            if isinstance(runner._train_loop, BaseLoop):
                rehearse_batch(runner)  # before other hooks tie the model to the run
                rehearse_prediction(runner)
            self._data.forget()

    def after_run(self, runner: Runner) -> None:
        """Tell what was left out; leave nothing behind."""
        if self._data is not None:
            self._data.after_run(runner)
        self._entered.close()
        self._watch = None

    def _start_alone(self, runner: Runner) -> None:
        """As ``run_train`` and ``run_test`` do, except that nobody can be asked to catch an error."""
        training = isinstance(runner._train_loop, BaseLoop)
        watch = RunWatch(runner.work_dir, doing='training' if training else 'testing')
        watch.runner = runner
        before = sys.excepthook

        def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            told = watch.explain(error)
            if told is not None:
                told.__cause__ = error
            end_in_one_line(told or error)
            before(kind, error, trace)

        sys.excepthook = tell
        self._entered.callback(setattr, sys, 'excepthook', before)
        self._watch = self._entered.enter_context(watch)
        self._entered.enter_context(pixel_limit(runner.cfg))
        if training or isinstance(runner._test_loop, BaseLoop):
            self._lines = check_run(runner.cfg, command='train' if training else 'test')
