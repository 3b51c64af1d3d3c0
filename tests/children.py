"""The results of functions at work in forked children: for what may hang, die or take all memory."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forked import Trial


class Child:
    """A function at work in a process of its own.

    Args:
        work: what to do; its result must be picklable.
        address_space: bytes that the child may map at most.
    """

    def __init__(self, work: Callable[[], Any], *, address_space: int | None = None) -> None:
        self._folder = TemporaryDirectory()
        self._answer = Path(self._folder.name) / 'answer'

        def task() -> None:
            if address_space is not None:
                resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
            self._answer.write_bytes(pickle.dumps(work()))

        self._trial = Trial(task, log=self._answer.with_name('log'))

    def result(self, *, seconds: float) -> Any:
        """What the function returned; an error with what it printed where it raised, died or hung."""
        self._trial.finish(patience=seconds)
        return pickle.loads(self._answer.read_bytes())


def in_child(work: Callable[[], Any], *, seconds: float, address_space: int | None = None) -> Any:
    """The result of ``work``, done in a child."""
    return Child(work, address_space=address_space).result(seconds=seconds)
