"""Work in forked children of the test's process: for what may hang, die or take all memory."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any


class Child:
    """A function at work in a process of its own.

    Args:
        work: what to do; its result must be picklable.
        address_space: bytes that the child may map at most.
    """

    def __init__(self, work: Callable[[], Any], *, address_space: int | None = None) -> None:
        self._output, their_end = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._output)
            _work(work, their_end, address_space)
        os.close(their_end)

    def result(self, *, seconds: float) -> Any:
        """What the function returned.

        Raises:
            AssertionError: it raised, died, or took longer.
        """
        content, status = self._read(seconds), self._wait()
        assert content is not None, f'no result within {seconds} s'
        assert content, f'the child died (wait status {status})'
        succeeded, value = pickle.loads(content)
        assert succeeded, f'in the child:\n{value}'
        return value

    def _read(self, seconds: float) -> bytes | None:
        """All that the child wrote, or None where time ran out and it was killed."""
        content, end = b'', time.monotonic() + seconds
        with os.fdopen(self._output, 'rb', buffering=0) as output:
            while select.select([output], [], [], max(0, end - time.monotonic()))[0]:
                part = output.read(1 << 20)
                if not part:
                    return content
                content += part
        os.kill(self._pid, signal.SIGKILL)
        return None

    def _wait(self) -> int:
        return os.waitpid(self._pid, 0)[1]


def in_child(work: Callable[[], Any], *, seconds: float, address_space: int | None = None) -> Any:
    """The result of ``work``, done in a child."""
    return Child(work, address_space=address_space).result(seconds=seconds)


def _work(work: Callable[[], Any], output: int, address_space: int | None) -> None:
    """In the child; never returns, so that nothing of the parent's runs twice."""
    try:
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        answer = pickle.dumps((True, work()))
    except BaseException:
        answer = pickle.dumps((False, traceback.format_exc()))
    try:
        with os.fdopen(output, 'wb') as file:
            file.write(answer)
    finally:
        os._exit(0)
