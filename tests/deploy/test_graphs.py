"""The CUDA graphs of a part, by a stand-in for the capture: which are made, kept, used and forgotten."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Callable, Sequence
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from hrnet_mm import HRNetBackbone, to_inference_form
from hrnet_mm.deploy.graphs import CUDAGraphs

Maps = tuple[Tensor, ...]


class Recorded:
    """As a CUDA graph: buffers of its own for inputs and outputs, which each call overwrites."""

    made: ClassVar[list[list[tuple[int, ...]]]] = []

    def __call__(
        self, function: Callable[..., Maps], inputs: Sequence[Tensor], *, dtype: torch.dtype
    ) -> Callable[[Sequence[Tensor]], Maps]:
        Recorded.made.append([tuple(x.shape) for x in inputs])
        outputs = function([x.to(dtype) for x in inputs])

        def replay(inputs: Sequence[Tensor]) -> Maps:
            for kept, new in zip(outputs, function([x.to(dtype) for x in inputs]), strict=True):
                kept.copy_(new)
            return outputs

        return replay

    def turn(self, device: torch.device) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class Refusing(Recorded):
    def __call__(self, *args: object, **kwargs: object) -> Callable[[Sequence[Tensor]], Maps]:
        raise RuntimeError('CUDA out of memory\nand more')


@pytest.fixture(autouse=True)
def _forget_earlier_captures() -> None:
    Recorded.made = []


def double(inputs: Sequence[Tensor]) -> Maps:
    return tuple(2 * x for x in inputs)


def image(side: int, value: float = 1.0) -> Tensor:
    return torch.full((1, 3, side, side), value)


def call(graphs: CUDAGraphs, x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor | None:
    results = graphs(double, [x], dtype=dtype)
    return None if results is None else results[0]


def test_one_graph_for_each_shape_and_dtype_and_results_are_kept():
    graphs = CUDAGraphs('part', capture=Recorded)
    first, second = call(graphs, image(4)), call(graphs, image(4, 3.0))
    assert (first == 2).all() and (second == 6).all()
    call(graphs, image(8))
    half = call(graphs, image(4), torch.bfloat16)
    assert half.dtype == torch.float32
    assert [shape[-1] for (shape,) in Recorded.made] == [4, 8, 4]


def test_without_copies_the_next_call_overwrites():
    graphs = CUDAGraphs('part', capture=Recorded, copy_outputs=False)
    first = call(graphs, image(4))
    call(graphs, image(4, 3.0))
    assert (first == 6).all()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_results_have_the_memory_format_of_the_input(layout: torch.memory_format):
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=layout)
    assert call(CUDAGraphs('part', capture=Recorded), x).is_contiguous(memory_format=layout)


def test_the_least_recently_used_goes():
    graphs = CUDAGraphs('part', capture=Recorded, kept=2)
    for side in (4, 8, 4, 12, 4, 8):
        call(graphs, image(side))
    assert [shape[-1] for (shape,) in Recorded.made] == [4, 8, 12, 8]


def test_ever_new_shapes_are_not_captured_for_ever():
    graphs = CUDAGraphs('part', capture=Recorded, captured=2)
    results = [call(graphs, image(side)) for side in (4, 8, 12, 16, 8)]
    assert [result is None for result in results] == [False, False, True, True, False]
    assert len(Recorded.made) == 2


def test_a_capture_that_fails_is_not_tried_again():
    graphs = CUDAGraphs('part', capture=Refusing)
    assert call(graphs, image(4)) is None
    assert not graphs.enabled


def test_loading_moving_and_copying_forget_the_graphs():
    form = to_inference_form(HRNetBackbone('w18_small_v1'))
    x = torch.rand(1, 3, 32, 32)

    def captured() -> int:
        Recorded.made = []
        with torch.no_grad():
            form.graphs(form.compute, [x], dtype=torch.float32)
        return len(Recorded.made)

    form.graphs.make_capture = Recorded
    form.graphs.clear()
    assert captured() == 1
    assert captured() == 0
    form.load_state_dict(form.state_dict())
    assert captured() == 1
    form.to(torch.float64).to(torch.float32)
    assert captured() == 1
    form = copy.deepcopy(form)
    assert captured() == 1
    form = pickle.loads(pickle.dumps(form))
    assert captured() == 1


def test_replays_equal_calls_and_heads_get_the_dtype_of_the_image():
    model = HRNetBackbone('w18_small_v1').eval()
    form = to_inference_form(model, dtype=torch.bfloat16)
    x = torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        expected, outputs = model(x), form(x)
        form.graphs.make_capture = Recorded
        form.graphs.clear()
        replayed = form.graphs(form.compute, [x], dtype=torch.bfloat16)
    for one, two, three in zip(expected, outputs, replayed, strict=True):
        assert two.dtype == three.dtype == torch.float32
        torch.testing.assert_close(two, one, rtol=0.05, atol=0.05 * float(one.abs().max()))
        torch.testing.assert_close(three, two, rtol=0.02, atol=0.02 * float(one.abs().max()))


def test_the_switches(monkeypatch: pytest.MonkeyPatch):
    model = HRNetBackbone('w18_small_v1')
    assert to_inference_form(model).graphs.enabled
    assert not to_inference_form(model, cuda_graphs=False).graphs.enabled
    assert not to_inference_form(model, copy_outputs=False).graphs.copy_outputs
    monkeypatch.setenv('HRNET_MM_CUDA_GRAPHS', '0')
    assert not to_inference_form(model).graphs.enabled
    with pytest.raises(ValueError, match=r'dtype=torch\.int8 .* expected one of torch\.float32'):
        to_inference_form(model, dtype=torch.int8)


def test_a_cpu_has_no_graphs():
    assert not CUDAGraphs('part').take([torch.rand(1, 3, 4, 4)])
