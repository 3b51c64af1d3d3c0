"""Data workers end with the run that needed them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.runner import BaseLoop, Runner


@contextmanager
def workers_for(runner: Runner) -> Iterator[Runner]:
    """A runner whose data loaders' workers are told to end afterwards.

    Left to the garbage collector, which takes a loader's queues before its iterator, workers never hear of
    the end: torch waits for each for five seconds, in the middle of whatever the process does by then.
    """
    try:
        yield runner
    finally:
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            if isinstance(loop, BaseLoop):
                _release(loop)


def _release(loop: BaseLoop) -> None:
    loop.dataloader._iterator = None  # where workers persist from epoch to epoch
    if hasattr(loop, 'dataloader_iterator'):
        loop.dataloader_iterator = None  # of loops that count iterations
