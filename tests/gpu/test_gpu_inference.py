"""The inference form on a GPU against the plain modules in float32, and the life of its CUDA graphs."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from peers import build_pair, images, scramble, streams
from torch import Tensor, nn

from hrnet_mm import HRFPN, HRNetBackbone, HRNetClassificationNeck, HRNetV2Neck, to_inference_form

DEVICE = 'cuda'
CHANNELS = (18, 36, 72, 144)


def image(*size: int, n: int = 2, **kwargs: Any) -> Tensor:
    return images(n, size=size or (128, 96), dtype=torch.float32, **kwargs).to(DEVICE)


def backbone(arch: str = 'w18_small_v1', **kwargs: Any) -> nn.Module:
    model = scramble(HRNetBackbone(arch, multiscale_output=True, **kwargs))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.mul_(0.4)  # sums of many streams and blocks stay within float16
    return model.eval().to(DEVICE)


def error(ours: Any, truth: Any) -> float:
    """The largest of the maps' relative errors in the 2-norm."""
    pairs = zip(ours, truth, strict=True)
    return max(float((a.float() - b.float()).norm() / b.float().norm()) for a, b in pairs)


@torch.no_grad()
@pytest.mark.parametrize('arch', ['w18_small_v1', 'w18', 'w32'])
@pytest.mark.parametrize('graphs', [True, False])
def test_equal_in_float32(arch: str, graphs: bool):
    model, x = backbone(arch), image()
    form = to_inference_form(model, cuda_graphs=graphs)
    assert error(form(x), model(x)) < 1e-5
    assert len(form.graphs._graphs) == graphs


@torch.no_grad()
@pytest.mark.parametrize('scope', ['mmpose', 'mmseg', 'mmdet'])
def test_equal_to_the_peers_in_float64_when_moved_afterwards(scope: str):
    peer, ours = build_pair(scope)
    peer.double().to(DEVICE).eval()  # mmpose's returns nothing
    form = to_inference_form(ours.float()).to(DEVICE)
    x = image(64, 96)
    assert error(form(x), peer(x.double())) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize(('dtype', 'bound'), [(torch.bfloat16, 5e-2), (torch.float16, 8e-3)])
@pytest.mark.parametrize('arch', ['w18_small_v1', 'w32'])
def test_half_precision_within_its_rounding(arch: str, dtype: torch.dtype, bound: float):
    model, x = backbone(arch), image()
    outputs = to_inference_form(model, dtype=dtype)(x)
    assert all(y.dtype == torch.float32 and y.is_contiguous() for y in outputs)
    assert error(outputs, model(x)) < bound


@torch.no_grad()
@pytest.mark.parametrize('upsampling', [dict(mode='nearest'), dict(mode='bilinear', align_corners=False)])
@pytest.mark.parametrize('size', [(123, 77), (33, 250), (1, 1)])
def test_odd_sizes(upsampling: dict[str, Any], size: tuple[int, int]):
    model, x = backbone(upsample_cfg=upsampling), image(*size)
    assert error(to_inference_form(model)(x), model(x)) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('neck', [HRNetV2Neck, HRNetClassificationNeck, lambda c: HRFPN(c, 64)])
def test_necks(neck: Any, dtype: torch.dtype):
    slow = scramble(neck(list(CHANNELS))).eval().to(DEVICE)
    x = [y.to(DEVICE, torch.float32) for y in streams(CHANNELS, size=(40, 48))]
    before = [y.clone() for y in x]
    fast = to_inference_form(slow, dtype=dtype)
    for _ in range(2):
        assert error(fast(x), slow(x)) < (1e-5 if dtype == torch.float32 else 3e-2)
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))
    assert len(fast.graphs._graphs) == 1


@torch.no_grad()
def test_changed_weights_are_followed():
    model, x = backbone(), image()
    form = to_inference_form(model)
    form(x)
    other = scramble(copy.deepcopy(model), seed=5)
    form.load_state_dict(to_inference_form(other).state_dict())
    assert error(form(x), other(x)) < 1e-5
    for ours, theirs in zip(form.parameters(), to_inference_form(model).parameters(), strict=True):
        ours.copy_(theirs)  # in place: the same graph reads other numbers
    assert error(form(x), model(x)) < 1e-5
    form.to(torch.bfloat16).to(torch.float32)
    assert error(form(x), model(x)) < 1e-2


@torch.no_grad()
def test_shapes_come_go_and_results_are_kept():
    model = backbone()
    form = to_inference_form(model)
    form.graphs.kept = 2
    sizes = [(64, 64), (96, 64), (64, 128), (64, 64), (96, 64)]
    outputs = [form(image(*size)) for size in sizes]
    for size, maps in zip(sizes, outputs, strict=True):
        assert error(maps, model(image(*size))) < 1e-5
    assert len(form.graphs._graphs) == 2
    form.graphs.captured = 0
    assert error(form(image(32, 32)), model(image(32, 32))) < 1e-5


@torch.no_grad()
def test_without_copies_outputs_are_overwritten():
    form = to_inference_form(backbone(), copy_outputs=False)
    x = image().contiguous(memory_format=torch.channels_last)
    first = form(x)[0]
    kept = first.clone()
    form(2 * x)
    assert not torch.equal(first, kept)


def test_what_runs_without_a_graph():
    model, x = backbone(), image()
    form = to_inference_form(model)
    with torch.enable_grad():
        form(x)
    with torch.no_grad(), torch.autocast('cuda', dtype=torch.bfloat16):
        assert error(form(x), model(x)) < 5e-2
    with torch.no_grad():
        traced = torch.jit.trace(form, (x,), strict=False, check_trace=False)
        assert error(traced(x), model(x)) < 1e-5
        exported = torch.export.export(form, (x,), strict=False)
        assert error(exported.module()(x), model(x)) < 1e-5
    assert not form.graphs._graphs


def test_inference_mode_and_back():
    model, x = backbone(), image()
    form = to_inference_form(model)
    with torch.inference_mode():
        inside = form(x)
        assert error(inside, model(x)) < 1e-5
    with torch.no_grad():
        assert error(form(x), inside) < 1e-6
    assert len(form.graphs._graphs) == 1


def test_threads_on_their_own_streams():
    model = backbone()
    form = to_inference_form(model)
    inputs = [image() * scale for scale in (0.5, 1.0, 2.0, 3.0)]
    with torch.no_grad():
        truths = [model(x) for x in inputs]
    torch.cuda.synchronize()
    errors: list[float] = []

    def work(x: Tensor, truth: Any) -> None:
        with torch.no_grad(), torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(20):
                outputs = form(x)
                torch.cuda.current_stream().synchronize()
                errors.append(error(outputs, truth))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, truths, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 80 and max(errors) < 1e-5
