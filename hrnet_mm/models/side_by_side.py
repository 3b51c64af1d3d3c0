"""The parallel streams of the paper's figure 2, side by side on a GPU as well.

A GPU works off what is launched on one CUDA stream in order, and a small map does not fill it. While a CUDA
graph is captured (:func:`parallel_capture`), :func:`side_by_side` puts each job on a CUDA stream of its own;
the graph keeps that shape and each replay has it. Everywhere else jobs run one after the other: launching on
several streams costs the processor more than the GPU would gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar('T')
#: For each capture in progress, the CUDA streams that its jobs are put on.
_captures: list[list[torch.cuda.Stream]] = []


@contextmanager
def parallel_capture() -> Iterator[None]:
    """Within a capture of a CUDA graph: let :func:`side_by_side` fork."""
    _captures.append([])
    try:
        yield
    finally:
        _captures.pop()


def side_by_side(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """The results of independent jobs, in their order.

    Within :func:`parallel_capture` the first job stays on the current CUDA stream and each other one gets
    its own. All wait for what the current stream has been given so far, and it waits for them before it
    goes on. So memory that a stream frees is never used again before its readers are done: nobody runs
    ahead of the next fork. The backward pass of what ran on a stream runs there too (autograd's rule).
    """
    if not _captures or len(jobs) < 2 or not _is_capturing():
        return [job() for job in jobs]
    streams = _captures[-1]
    streams += [torch.cuda.Stream() for _ in range(len(jobs) - 1 - len(streams))]
    current = torch.cuda.current_stream()
    fork = current.record_event()
    results = []
    for stream, job in zip([current, *streams], jobs, strict=False):
        if stream is not current:
            stream.wait_event(fork)
        with torch.cuda.stream(stream):
            results.append(job())
    for stream in streams[: len(jobs) - 1]:
        current.wait_stream(stream)
    return results


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
