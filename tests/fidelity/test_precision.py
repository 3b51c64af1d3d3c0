"""Other precisions, layouts and execution modes: each equal to eager float32 within its own error."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peers import (
    CODEBASES,
    TINY_CHANNELS,
    assert_close,
    build_ours,
    build_pair,
    gradients,
    images,
    learnable,
    modes,
    scramble,
    streams,
)
from torch import nn

from hrnet_mm import HRFPN, HRNetClassificationNeck, HRNetV2Neck

#: Rounding of float32 sums taken in another order, relative to the largest value of a map.
FLOAT32 = 1e-5
#: Roundings of half precision that add up over the depth of the network, in units of its epsilon.
ROUNDINGS = 8

PARTS: dict[str, Callable[[], nn.Module]] = {
    'backbone, bilinear': lambda: build_ours('mmseg'),
    'backbone, nearest': lambda: build_ours('mmpretrain'),
    'backbone, one stream': lambda: build_ours('mmpose'),
    'HRNetV2Neck': lambda: HRNetV2Neck(TINY_CHANNELS),
    'HRFPN': lambda: HRFPN(TINY_CHANNELS, 8),
    'HRNetClassificationNeck': lambda: HRNetClassificationNeck(TINY_CHANNELS),
}
every_part = pytest.mark.parametrize('part', PARTS)
every_backbone = pytest.mark.parametrize('part', [part for part in PARTS if part.startswith('backbone')])


def build(part: str) -> nn.Module:
    return scramble(PARTS[part]()).eval()


def example(part: str, **kwargs: Any) -> Any:
    """What the part takes: an image, or feature maps."""
    kwargs.setdefault('dtype', torch.float32)
    return images(**kwargs) if part.startswith('backbone') else streams(**kwargs)


def each(function: Callable[[torch.Tensor], torch.Tensor], x: Any) -> Any:
    """Apply a function to a tensor, or to each of several."""
    return function(x) if isinstance(x, torch.Tensor) else tuple(function(y) for y in x)


def run(model: Callable[..., Any], x: Any) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        return tuple(model(x))


def to(outputs: tuple[torch.Tensor, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    return tuple(y.to(dtype) for y in outputs)


# -- precision ------------------------------------------------------------------------------------

HALVES = [torch.bfloat16, torch.float16]


@every_part
@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_autocast(part, dtype):
    model, x = build(part), example(part)
    truth = run(model, x)
    with torch.autocast('cpu', dtype=dtype):
        found = run(model, x)
    assert {y.dtype for y in found} == {dtype}
    assert_close(to(found, torch.float32), truth, rel=ROUNDINGS * torch.finfo(dtype).eps)


@pytest.mark.parametrize('scope', CODEBASES)
@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize('training', [False, True])
def test_autocast_equals_the_packages_autocast(scope, dtype, training):
    """Outputs and gradients: batch norms over few samples magnify roundings, but the same ones."""
    peer, ours = build_pair(scope, norm_eval=False)
    peer.train(training), ours.train(training)
    x = images(dtype=torch.float32)
    with torch.autocast('cpu', dtype=dtype):
        found, truth = gradients(ours, x), gradients(peer, x)
        assert_close(run(ours, x), run(peer, x), rel=torch.finfo(dtype).eps)
    assert {g.dtype for g in found.values()} == {torch.float32}
    assert_close(found, truth, rel=torch.finfo(dtype).eps)


@pytest.mark.parametrize('part', [part for part in PARTS if not part.startswith('backbone')])
def test_necks_train_under_autocast_as_without(part):
    model, x = build(part).train(), example(part)
    truth = flat(gradients(model, *x))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = flat(gradients(model, *x))
    assert found.isfinite().all()
    assert nn.functional.cosine_similarity(found, truth, dim=0) > 0.99


def flat(gradients: dict[str, torch.Tensor | None]) -> torch.Tensor:
    """All gradients as one vector: a bias before a norm has none but rounding errors of its own."""
    return torch.cat([g.flatten() for g in gradients.values() if g is not None])


@every_part
@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_weights_in_half_precision(part, dtype):
    model, x = build(part), example(part)
    truth = run(model, x)
    found = run(model.to(dtype), each(lambda y: y.to(dtype), x))
    assert {y.dtype for y in found} == {dtype}
    assert_close(to(found, torch.float32), truth, rel=ROUNDINGS * torch.finfo(dtype).eps)


@every_part
def test_float64(part):
    model, x = build(part), example(part)
    truth = run(model, x)
    found = run(model.double(), each(torch.Tensor.double, x))
    assert {y.dtype for y in found} == {torch.float64}
    assert_close(to(found, torch.float32), truth, rel=FLOAT32)


# -- layout ---------------------------------------------------------------------------------------


# in training mode a batch norm over few samples magnifies float32's roundings
EVAL_AND_TRAINING = [(False, torch.float32, FLOAT32), (True, torch.float64, 1e-10)]


@every_part
@pytest.mark.parametrize(('training', 'dtype', 'rel'), EVAL_AND_TRAINING)
def test_channels_last(part, training, dtype, rel):
    model, x = build(part).to(dtype).train(training), example(part, dtype=dtype)
    twin = copy.deepcopy(model).to(memory_format=torch.channels_last)
    found = run(twin, each(lambda y: y.contiguous(memory_format=torch.channels_last), x))
    assert all(y.is_contiguous(memory_format=torch.channels_last) for y in found)
    assert_close(found, run(model, x), rel=rel)


# -- compiling and exporting ----------------------------------------------------------------------


@pytest.fixture
def fresh_compiler():
    """Forget what was compiled before: torch gives up after several versions of one function."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@every_part
@pytest.mark.usefixtures('fresh_compiler')
def test_compile_without_graph_breaks(part):
    model, x = build(part), example(part)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend='aot_eager')
    assert_close(run(compiled, x), run(model, x), rel=FLOAT32)


@pytest.mark.nightly
@every_part
@pytest.mark.usefixtures('fresh_compiler')
def test_compiled_training(part):
    """Outputs, gradients and statistics of a step in training mode."""
    model, x = build(part).double().train(), example(part, dtype=torch.float64)
    inputs = (x,) if isinstance(x, torch.Tensor) else x
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, fullgraph=True, backend='aot_eager')
    assert_close(flat(gradients(compiled, *inputs)), flat(gradients(model, *inputs)), rel=1e-10)
    assert_close(dict(twin.state_dict()), dict(model.state_dict()), rel=1e-10)


@every_part
def test_export(part):
    model, x = build(part), example(part)
    exported = torch.export.export(model, (x,)).module()
    assert_close(run(exported, x), run(model, x), rel=FLOAT32)


@pytest.mark.nightly
@every_backbone
def test_export_for_any_multiple_of_32(part):
    model = build(part)
    # from 64 on, because torch treats a side of one pixel as a case of its own
    height, width = (32 * torch.export.Dim(name, min=2, max=32) for name in ('h', 'w'))
    batch = torch.export.Dim('n', min=1, max=16)
    exported = torch.export.export(
        model, (images(dtype=torch.float32),), dynamic_shapes=({0: batch, 2: height, 3: width},)
    ).module()
    for n, size in ((1, (64, 64)), (3, (96, 160))):
        x = images(n, size=size, dtype=torch.float32)
        assert_close(run(exported, x), run(model, x), rel=FLOAT32)


@every_part
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')  # checks of shapes are not traced
def test_trace(part):
    """Traced at one size, right at every other multiple of 32 in the image."""
    model = build(part)
    traced = torch.jit.trace(model, (example(part),), check_trace=False)
    other = (32, 64) if part.startswith('backbone') else (32, 16)
    for x in (example(part), example(part, n=1, size=other)):
        assert_close(run(traced, x), run(model, x), rel=FLOAT32)


# -- copies ---------------------------------------------------------------------------------------


@every_part
@pytest.mark.parametrize('training', [False, True])
def test_copies(part, training):
    model, x = build(part).train(training), example(part)
    for copied in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))):
        twin = copied(model)
        assert modes(twin) == modes(model)
        assert learnable(twin) == learnable(model)
        assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in model.parameters()}
        assert_close(dict(twin.state_dict()), dict(model.state_dict()), rel=0)
        assert_close(run(twin, x), run(copy.deepcopy(model), x), rel=0)


# -- the meta device ------------------------------------------------------------------------------


@every_part
@pytest.mark.parametrize('training', [False, True])
def test_meta_device(part, training):
    """Shapes without numbers, for counting and for sharded loading."""
    with torch.device('meta'):
        model = PARTS[part]().train(training)
    found = run(model, each(lambda y: y.to('meta'), example(part)))
    truth = run(build(part).train(training), example(part))
    assert all(p.is_meta for p in model.parameters())
    assert [(y.shape, y.dtype, y.device.type) for y in found] == [(y.shape, y.dtype, 'meta') for y in truth]
