"""CUDA graphs of a part of a model: what took thousands of launches is one (docs/performance.md).

A graph replays kernels on the memory they were captured with, so there is one for each shape and dtype, and
inputs and outputs are copied in and out.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging import WARNING
from typing import Any, Final

import torch
from mmengine.logging import print_log
from torch import Tensor

from ..models.conv_norm import in_layout_of
from ..models.side_by_side import parallel_capture
from .operators import is_recorded

Maps = tuple[Tensor, ...]
Function = Callable[[Sequence[Tensor]], Maps]

SWITCH: Final = 'HRNET_MM_CUDA_GRAPHS'
_KEPT = 16  # graphs
_CAPTURED = 64  # shapes, after which new ones run without a graph
_WARM_UP = 2  # calls in which cuDNN chooses its kernels


class CUDAGraph:
    """One call of a function, captured.

    Args:
        function: maps in, maps out, all channels last; no gradients.
        inputs: maps on one GPU, of the shapes that it is to be replayed for.
        dtype: what the function computes in.
        pool: the memory pool that the part's graphs share.
    """

    def __init__(
        self, function: Function, inputs: Sequence[Tensor], *, dtype: torch.dtype, pool: Any
    ) -> None:
        # tensors made in inference mode could be written to in inference mode alone
        with torch.inference_mode(False), torch.no_grad():
            layout = torch.channels_last
            self._inputs = [torch.empty_like(x, dtype=dtype, memory_format=layout) for x in inputs]
            torch._foreach_copy_(self._inputs, list(inputs))
            current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    function(self._inputs)
            current.wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with (
                torch.cuda.graph(self._graph, pool=pool, capture_error_mode='thread_local'),
                parallel_capture(),
            ):
                self._outputs = function(self._inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> Maps:
        """Run it on other inputs; the next call overwrites the outputs."""
        torch._foreach_copy_(self._inputs, list(inputs))
        self._graph.replay()
        return self._outputs


class CUDACapture:
    """Captures the graphs of one part. They share memory, so that one runs at a time."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._done: Any = None

    def __call__(self, function: Function, inputs: Sequence[Tensor], *, dtype: torch.dtype) -> CUDAGraph:
        """A graph of one call."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        return CUDAGraph(function, inputs, dtype=dtype, pool=self._pool)

    @contextmanager
    def turn(self, device: torch.device) -> Iterator[None]:
        """On that GPU, after what an earlier turn has launched on another stream, maybe by another thread."""
        with torch.cuda.device(device):
            if self._done is None:
                self._done = torch.cuda.Event()
            self._done.wait()
            yield
            self._done.record()


class CUDAGraphs:
    """The CUDA graphs of one part of a model, one for each shape and dtype of its inputs.

    The least recently used go when there are more than ``kept``; after ``captured`` captures new shapes run
    without a graph, and the log says so. One thread replays at a time, and GPU streams wait for each other.

    Args:
        name: of the part, for the log.
        copy_outputs: whether each call's outputs are its own. Without, the next call overwrites them, and
            one pass over the outputs is saved.
        capture: what makes a :class:`CUDACapture`; a test without a GPU has another.
    """

    def __init__(
        self,
        name: str,
        *,
        copy_outputs: bool = True,
        kept: int = _KEPT,
        captured: int = _CAPTURED,
        capture: Callable[[], Any] = CUDACapture,
    ) -> None:
        self.name = name
        self.enabled = os.environ.get(SWITCH, '1') != '0'
        self.copy_outputs = copy_outputs
        self.kept = kept
        self.captured = captured
        self.make_capture = capture
        self.clear()

    def clear(self) -> None:
        """Forget all graphs, because the weights lie elsewhere now."""
        self._graphs: OrderedDict[Any, Any] = OrderedDict()
        self._captures = 0
        self._capture = self.make_capture()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if not key.startswith('_')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.clear()

    def take(self, inputs: Sequence[Tensor]) -> bool:
        """Whether a call may be replayed: on one GPU, without gradients or autocast, recorded by nobody."""
        return (
            self.enabled
            and all(type(x) is Tensor and x.is_cuda and x.device == inputs[0].device for x in inputs)
            and all(x.numel() > 0 for x in inputs)
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled('cuda')
            and not is_recorded()
            and not torch.cuda.is_current_stream_capturing()
        )

    def __call__(self, function: Function, inputs: Sequence[Tensor], *, dtype: torch.dtype) -> Maps | None:
        """The function's outputs, in dtype and memory format of the first input; None: call it yourself."""
        with self._lock, self._capture.turn(inputs[0].device):
            graph = self._graph_for(function, inputs, dtype)
            return None if graph is None else self._results(graph(inputs), like=inputs[0])

    def _graph_for(self, function: Function, inputs: Sequence[Tensor], dtype: torch.dtype) -> Any:
        cudnn = torch.backends.cudnn  # what it computes by is captured with it
        key = (inputs[0].device, dtype, cudnn.allow_tf32, cudnn.deterministic, *(x.shape for x in inputs))
        if key in self._graphs:
            self._graphs.move_to_end(key)
            return self._graphs[key]
        if not self.enabled:
            return None
        shapes = ', '.join('x'.join(map(str, x.shape)) for x in inputs)
        if self._captures >= self.captured:
            if self._captures == self.captured:
                self._captures += 1
                print_log(
                    f'{self.name}: {self.captured} CUDA graphs captured, no more for new shapes', 'current'
                )
            return None
        self._captures += 1
        if len(self._graphs) >= self.kept:
            self._graphs.popitem(last=False)
        try:
            graph = self._graphs[key] = self._capture(function, inputs, dtype=dtype)
        except RuntimeError as error:  # out of memory, or an operator that cannot be captured
            self.enabled = False
            why = str(error).partition('\n')[0]
            print_log(f'{self.name}: no CUDA graph for {shapes}, goes on without: {why}', 'current', WARNING)
            return None
        print_log(f'{self.name}: CUDA graph captured for {shapes}', 'current')
        return graph

    def _results(self, outputs: Maps, *, like: Tensor) -> Maps:
        if not self.copy_outputs:
            return tuple(in_layout_of(like, x.to(like.dtype)) for x in outputs)
        layout = torch.contiguous_format if like.is_contiguous() else torch.channels_last
        results = [
            torch.empty(x.shape, dtype=like.dtype, device=x.device, memory_format=layout) for x in outputs
        ]
        torch._foreach_copy_(results, list(outputs))
        return tuple(results)
