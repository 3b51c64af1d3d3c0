"""Peak memory against sums by hand."""

from __future__ import annotations

import sys

import pytest
import torch
from benchmarking.alone import peak_alone
from benchmarking.contestants import make_contestant
from benchmarking.drivers import Bare
from benchmarking.matches import Entrant
from benchmarking.memory import forget_peak, peak_of_tensors, peak_resident, resident
from benchmarking.request import make_request

_FLOAT = 4


def linear_contestant(mode: str):
    request = make_request(what='hrfpn', mode=mode, threads=1)
    layer = torch.nn.Linear(100, 300, bias=False)
    return make_contestant(Entrant('mmdet', layer, Bare()), 'plain', [torch.randn(50, 100)], request)


def test_inference_holds_weights_inputs_and_outputs() -> None:
    weights, inputs, outputs = 100 * 300, 50 * 100, 50 * 300
    assert peak_of_tensors(linear_contestant('infer'), 'cpu') == _FLOAT * (weights + inputs + outputs)


def test_training_holds_the_gradient_of_weights_too() -> None:
    found = peak_of_tensors(linear_contestant('train'), 'cpu')
    weights, inputs, outputs = 100 * 300, 50 * 100, 50 * 300
    assert found >= _FLOAT * (2 * weights + inputs + outputs)  # the way back begins at the outputs
    assert found < _FLOAT * (2 * weights + inputs + 6 * outputs)


@pytest.mark.skipif(sys.platform != 'linux', reason='/proc')
def test_a_process_peak_is_forgotten_and_seen_again() -> None:
    forget_peak()
    before = resident()
    block = torch.ones(16 * 2**20)  # 64 MiB
    del block
    forget_peak()
    assert peak_resident() - before < 32 * 2**20
    block = torch.ones(16 * 2**20)
    del block
    assert peak_resident() - before > 60 * 2**20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='/proc')
def test_a_contestant_alone() -> None:
    """At least its weights and maps, and not the packages' code."""
    request = make_request(
        what='hrfpn', arch='w18', shape=['64', '64'], peers=['mmdet', 'openvino'], threads=1
    )
    for name in ('ours', 'mmdet openvino'):
        assert 5 * 2**20 < peak_alone(request, 'mmdet', name) < 200 * 2**20
