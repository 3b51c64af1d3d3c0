"""A contestant that computes something else is found before anything is timed."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from benchmarking import request as request_module
from benchmarking import run
from benchmarking.random_weights import calibrate, randomize
from benchmarking.request import Form, make_request
from benchmarking.run import Disagreement, benchmark, require_agreement, require_lively
from torch import nn

from hrnet_mm.config.errors import ConfigError


def contestant(*outputs: torch.Tensor, gradient: torch.Tensor | None = None, precision: str = 'fp32') -> Any:
    made = {'outputs': lambda: list(outputs), 'gradient': lambda: gradient}
    return SimpleNamespace(name='ours fast', precision=precision, **made)


A, B = torch.tensor([1.0, -10.0]), torch.tensor([[3.0]])
TRUTH = ([A, B], None)


def test_the_largest_error_over_the_largest_value_in_the_limit_of_its_precision() -> None:
    off = A + torch.tensor([5e-4, 0.0])
    assert require_agreement(contestant(off, B), TRUTH) == pytest.approx(5e-5, rel=1e-3)
    require_agreement(contestant(A * 1.02, precision='bf16'), ([A], None))
    require_agreement(contestant(A, gradient=B * 1.001), ([A], B))


@pytest.mark.parametrize(
    ('wrong', 'truth', 'message'),
    [
        (contestant(-A, precision='bf16'), ([A], None), '2.0e[+]00 off'),
        (contestant(A + 2e-3, B), TRUTH, '2.0e-04 off'),
        (contestant(A, B * torch.nan), TRUTH, 'inf off'),
        (contestant(A), TRUTH, 'outputs of shapes'),
        (contestant(A, gradient=B * 1.1), ([A], B), 'gradients within'),
        (contestant(A), ([A], B), 'a gradient of shape'),
    ],
)
def test_a_wrong_contestant_is_refused(wrong, truth, message) -> None:
    with pytest.raises(Disagreement, match=f"'ours fast'.*{message}.*Nothing has been timed"):
        require_agreement(wrong, truth)


@pytest.mark.parametrize('mode', ['infer', 'train'])
def test_nothing_is_timed_when_ours_differs(monkeypatch, mode) -> None:
    """A form that loses 1 % of one weight tensor."""

    def lossy(module: nn.Module) -> nn.Module:
        with torch.no_grad():
            module.fpn_convs[0].conv.weight.mul_(1.01)
        return module

    monkeypatch.setitem(request_module.FORMS, 'lossy', Form(convert=lossy))
    monkeypatch.setattr(run, 'time_in_rounds', lambda *args, **kwargs: pytest.fail('timed'))
    common = dict(arch='w18_small_v1', shape=(32, 32), batch=1, rounds=1, threads=1)
    with pytest.raises(Disagreement, match="contestant = 'ours lossy'"):
        benchmark(make_request(what='hrfpn', mode=mode, forms=['lossy'], peers=['mmdet'], **common))
    with pytest.raises(ConfigError, match=r"'mmpose plain': expected one that can run \(RuntimeError"):
        common['shape'] = (40, 40)  # mmpose's HRNet takes multiples of 32 only
        benchmark(make_request(what='backbone', mode=mode, forms=['plain'], peers=['mmpose'], **common))


def test_signals_that_die_out_or_explode_are_found_and_cured() -> None:
    """Weights as mmpose draws them before training."""
    block = [nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
    net = nn.Sequential(*(copy.deepcopy(part) for _ in range(20) for part in block)).eval()
    x = torch.randn(1, 4, 8, 8)
    for std in (0.001, 1e4):
        for module in net[::3]:
            nn.init.normal_(module.weight, std=std)
        with torch.no_grad(), pytest.raises(ConfigError, match='fit for timing, not up to'):
            require_lively(([net(x)], None))
    randomize(net)
    calibrate(net, lambda: net(x))
    with torch.no_grad():
        require_lively(([net(x)], None))
        assert 0.1 < net(x).std() < 10
    assert not any(m.training for m in net.modules())
