"""A contestant that computes something else is found before anything is timed."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from benchmarking import contestants, run
from benchmarking.agreement import Disagreement, Truth, relative_error, require_agreement
from benchmarking.contestants import Contestant
from benchmarking.forms import Form
from benchmarking.lively import calibrate, enliven, require_lively
from benchmarking.request import make_request
from benchmarking.run import benchmark
from torch import nn

from hrnet_mm.config.errors import ConfigError


class FakeRunner:
    is_watchable = True

    def __init__(self, *outputs: torch.Tensor, gradient: torch.Tensor | None = None) -> None:
        self._outputs, self._gradient = list(outputs), gradient

    def run(self) -> None:
        pass

    def outputs(self) -> list[torch.Tensor]:
        return self._outputs

    def gradient(self) -> torch.Tensor | None:
        return self._gradient

    def tensors(self) -> list[torch.Tensor]:
        return self._outputs


def contestant(*outputs: torch.Tensor, precision: str = 'fp32', **kwargs) -> Contestant:
    return Contestant('ours fast', 'ours', 'fast', precision, FakeRunner(*outputs, **kwargs))


def truth(*outputs: torch.Tensor, **kwargs) -> Truth:
    return Truth.of(FakeRunner(*outputs, **kwargs))


A, B = torch.tensor([1.0, -10.0]), torch.tensor([[3.0]])


def test_the_largest_error_over_the_largest_value() -> None:
    off = A + torch.tensor([5e-4, 0.0])
    assert relative_error(off, A) == pytest.approx(5e-5, rel=1e-3)
    assert require_agreement(contestant(off, B), truth(A, B)) == pytest.approx(5e-5, rel=1e-3)
    assert require_agreement(contestant(A, B), truth(A, B)) == 0


@pytest.mark.parametrize(
    ('outputs', 'message'),
    [
        ((A + 2e-3, B), '2.0e-04 off'),
        ((A, B * torch.nan), 'nan off'),
        ((A,), r'outputs of shapes \[\(2,\), \(1, 1\)\], not \[\(2,\)\]'),
        ((A, B[0]), 'outputs of shapes'),
    ],
)
def test_a_wrong_contestant_is_refused(outputs, message) -> None:
    with pytest.raises(Disagreement, match=f"'ours fast'.*{message}.*Nothing has been timed"):
        require_agreement(contestant(*outputs), truth(A, B))


def test_low_precision_may_be_less_exact_but_not_wrong() -> None:
    require_agreement(contestant(A * 1.02, precision='bf16'), truth(A))
    with pytest.raises(Disagreement):
        require_agreement(contestant(-A, precision='bf16'), truth(A))


def test_a_wrong_gradient_is_refused() -> None:
    require_agreement(contestant(A, gradient=B * 1.001), truth(A, gradient=B))
    for wrong in (B * 1.1, torch.zeros_like(B), None):
        with pytest.raises(Disagreement, match='gradient'):
            require_agreement(contestant(A, gradient=wrong), truth(A, gradient=B))


def tiny(**kwargs):
    common = dict(arch='w18_small_v1', shape=[32, 32], batch=1, rounds=1, threads=1, memory='none')
    return make_request(**{**common, **kwargs})


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_nothing_is_timed_when_ours_differs(monkeypatch, mode) -> None:
    """A form that loses 1 % of one weight tensor."""

    def lossy(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            module.fpn_convs[0].conv.weight.mul_(1.01)
        return module

    real = contestants.form_of
    monkeypatch.setattr(
        contestants,
        'form_of',
        lambda mode, name, *, ours: dataclasses.replace(
            real(mode, name, ours=ours), convert=lossy if ours else Form().convert
        ),
    )
    monkeypatch.setattr(run, 'time_in_rounds', lambda *args, **kwargs: pytest.fail('timed'))
    with pytest.raises(Disagreement, match="contestant = 'ours'"):
        benchmark(tiny(what='hrfpn', mode=mode, forms=['plain'], peers=['mmdet']))


def test_a_contestant_that_cannot_run_is_named() -> None:
    """mmpose's HRNet takes multiples of 32 only."""
    with pytest.raises(ConfigError, match=r"contestant = 'mmpose': expected one that can run \(RuntimeError"):
        benchmark(tiny(what='backbone', shape=[40, 40], forms=['plain'], peers=['mmpose']))


def deep(layers: int = 20) -> nn.Sequential:
    parts = [nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    return nn.Sequential(*(copy.deepcopy(part) for _ in range(layers) for part in parts))


def test_signals_that_die_out_are_found_and_cured() -> None:
    """Weights as mmpose draws them before training."""
    net, x = deep(), torch.randn(1, 4, 8, 8)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.001)
    net.eval()
    with pytest.raises(ConfigError, match=r"'net'.*fit for timing, but \d+ gives (.*denormal|nothing but)"):
        require_lively(net, lambda: net(x), name='net')
    enliven(net)
    calibrate(net, lambda: net(x))
    require_lively(net, lambda: net(x), name='net')
    assert 0.1 < net(x).std() < 10
    assert not any(m.training for m in net.modules())


def test_signals_that_explode_are_found() -> None:
    net = deep(2)
    nn.init.constant_(net[0].weight, 1e9)
    with pytest.raises(ConfigError, match='values up to'):
        require_lively(net, lambda: net(torch.ones(1, 4, 8, 8)), name='net')
    nn.init.constant_(net[0].weight, torch.inf)
    with pytest.raises(ConfigError, match='not finite'):
        require_lively(net, lambda: net(torch.ones(1, 4, 8, 8)), name='net')
