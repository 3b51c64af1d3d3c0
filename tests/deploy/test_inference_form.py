"""The inference form against the model it was made from, in every codebase, at every size."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest
import torch
import torch._inductor.config
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import MODELS
from peers import assert_close, build_ours, build_pair, images, in_scope, scramble
from tool_runs import run_fresh
from torch import nn

from hrnet_mm import HRNetBackbone, to_inference_form
from hrnet_mm.config.load import load_config
from hrnet_mm.deploy import FusedHRNet

TOLERANCE = 1e-4  # what is promised; float32 rounding of some 300 layers stays well below


def scrambled(**kwargs) -> nn.Module:
    return scramble(build_ours(**kwargs)).eval()


@torch.no_grad()
@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])  # bilinear and nearest upsampling
def test_outputs_equal_the_package(scope: str) -> None:
    """The peer's module with the same weights is the truth."""
    peer, ours = build_pair(scope)
    peer.eval()
    x = images(dtype=torch.float32)
    assert_close(tuple(to_inference_form(ours)(x)), tuple(peer(x)), rel=TOLERANCE)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(out_indices=(1, 3)),
        dict(multiscale_output=False, in_channels=1),
        dict(fusions=(0, 1, 1)),
        dict(fusions=(0, 0, 0)),
        dict(upsample_cfg=dict(mode='bilinear', align_corners=True)),
        dict(arch='w18_small_v1'),
    ],
    ids=str,
)
@torch.no_grad()
def test_every_form_of_the_backbone(kwargs: dict) -> None:
    model = scrambled(**kwargs)
    x = images(channels=model.in_channels, dtype=torch.float32)
    fast = to_inference_form(model)
    assert isinstance(fast, FusedHRNet) and fast.out_channels == model.out_channels
    assert_close(fast(x), model(x), rel=TOLERANCE)
    assert_close(fast(x), model(x), rel=TOLERANCE)  # nothing was overwritten that is used again


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    mode=st.sampled_from(['nearest', 'bilinear']),
    channels_last=st.booleans(),
)
@settings(max_examples=12, deadline=None)
@torch.no_grad()
def test_any_image_size(size, mode, channels_last) -> None:
    model = scrambled(upsample_cfg=dict(mode=mode))
    x = images(n=1, size=size, dtype=torch.float32)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    before = x.clone()
    outputs = to_inference_form(model)(x)
    assert_close(outputs, model(x), rel=TOLERANCE)
    assert torch.equal(x, before)
    # mmcv's RoIAlign on a CPU takes every map for a contiguous one
    assert channels_last or all(y.is_contiguous() for y in outputs)


@pytest.mark.parametrize(('dtype', 'rel'), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_outputs_and_gradients_to_the_image_agree_to_rounding(dtype: torch.dtype, rel: float) -> None:
    model = scrambled().to(dtype).requires_grad_(False)
    convert = to_inference_form(model)
    x = images(size=(32, 32), dtype=dtype)
    with torch.no_grad():
        assert_close(convert(x), model(x), rel=rel)
    fast, slow = x.clone().requires_grad_(), x.clone().requires_grad_()
    sum(y.sum() for y in convert(fast)).backward()
    sum(y.sum() for y in model(slow)).backward()
    assert_close(fast.grad, slow.grad, rel=rel)


# -- the call -------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_original_is_kept() -> None:
    model = scramble(build_ours()).train()
    before = copy.deepcopy(model.state_dict())
    fast = to_inference_form(model)
    fast(images(dtype=torch.float32))
    assert not [m for m in fast.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    assert model.training and not fast.training
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize(
    'travel', [to_inference_form, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_it_can_be_converted_again_copied_and_pickled_after_use(travel) -> None:
    x = images(dtype=torch.float32)
    fast = to_inference_form(scrambled())
    truth = fast(x)
    again = travel(fast)
    assert list(again.state_dict()) == list(fast.state_dict())
    assert_close(again(x), truth, rel=1e-6)


@torch.no_grad()
def test_changed_weights_are_used() -> None:
    """oneDNN's packed weights are made anew when weights are loaded or moved."""
    x = images(dtype=torch.float32)
    fast, other = to_inference_form(scrambled()), to_inference_form(scramble(build_ours(), seed=1).eval())
    fast(x)
    fast.load_state_dict(other.state_dict())
    assert_close(fast(x), other(x), rel=1e-6)
    assert_close([y.float() for y in fast.double()(x.double())], list(other(x)), rel=TOLERANCE)


@torch.no_grad()
def test_other_norms_and_convolutions_are_left_alone() -> None:
    for kwargs in (dict(norm_cfg=dict(type='GN', num_groups=2)), dict(conv_cfg=dict(type='ConvWS'))):
        model = scrambled(**kwargs)
        fast = to_inference_form(model)
        assert isinstance(fast, HRNetBackbone)
        x = images(dtype=torch.float32)
        assert_close(fast(x), model(x), rel=TOLERANCE)


def test_what_holds_no_module_is_refused() -> None:
    with pytest.raises(TypeError, match=r'model=int given to to_inference_form; expected'):
        to_inference_form(3)


# -- whole models ---------------------------------------------------------------------------------

WHOLE = {
    'hrnetv1_w18_small_v1_own_coco.py': (256, 192),
    'hrnetv2_w18_small_v1_own_masks.py': (64, 96),
    'hrnetv2p_w18_small_v1_faster_rcnn_own_coco.py': (64, 96),
    'hrnet_w18_small_v1_cifar10.py': (32, 32),
}


@torch.no_grad()
@pytest.mark.parametrize('config', WHOLE)
def test_models_of_the_four_packages(config: str) -> None:
    cfg = load_config(f'hrnet_mm::{config}')
    __import__(f'{cfg.default_scope}.models')
    with in_scope(cfg.default_scope):
        model = scramble(MODELS.build(cfg.model)).eval()
        fast = to_inference_form(model)
    assert isinstance(fast.backbone, FusedHRNet)
    x = images(size=WHOLE[config], dtype=torch.float32)
    assert_close(_outputs(fast, x), _outputs(model, x), rel=TOLERANCE)


def _outputs(model: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors before any choice that a rounding error may turn: features and first head's maps."""
    if hasattr(model, 'rpn_head'):
        scores, boxes = model.rpn_head(model.extract_feat(x))
        return (*scores, *boxes)
    out = model(x, None, mode='tensor')
    return tuple(out) if isinstance(out, (tuple, list)) else (out,)


class _Inferencer:
    """What the mm packages' inferencers have in common."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model


def test_an_inferencer_gets_the_fast_model() -> None:
    """And one in another, as mmpose's unified one holds that for its kind of pose."""
    slow = SimpleNamespace(inferencer=_Inferencer(scrambled()))
    fast = to_inference_form(slow)
    assert isinstance(slow.inferencer.model, HRNetBackbone)
    assert isinstance(fast.inferencer.model, FusedHRNet)


# -- oneDNN's operators ---------------------------------------------------------------------------


def test_they_are_tried_at_first_use_and_whatever_the_default_device() -> None:
    """Importing computes nothing."""
    out = run_fresh(
        """
        import torch, mmengine.runner, mmcv.cnn
        from torch.utils._python_dispatch import TorchDispatchMode

        class Seen(TorchDispatchMode):
            names = []
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                self.names.append(str(function))
                return function(*args, **(kwargs or {}))

        with Seen():
            import hrnet_mm
            print([name for name in Seen.names if 'conv' in name or 'mkldnn' in name])
        model = hrnet_mm.to_inference_form(hrnet_mm.HRNetBackbone('w18_small_v1'))
        x = torch.zeros(1, 3, 32, 32)
        torch.set_default_device('meta')
        torch.set_default_dtype(torch.float64)
        with torch.no_grad(), torch.profiler.profile() as profile:
            model(x)
        print(any('_convolution_pointwise_' in event.key for event in profile.key_averages()))
        """
    )
    assert out.splitlines() == ['[]', str(torch.backends.mkldnn.is_available())]


# -- export ---------------------------------------------------------------------------------------


@torch.no_grad()
def test_torch_export_and_compile_see_plain_operators() -> None:
    fast = to_inference_form(scrambled())
    x = images(n=1, size=(32, 64), dtype=torch.float32)
    program = torch.export.export(fast, (x,))
    assert not [n for n in program.graph.nodes if 'mkldnn' in str(n.target)]
    assert_close(tuple(program.module()(x)), fast(x), rel=TOLERANCE)


@torch.no_grad()
@pytest.mark.nightly
@pytest.mark.parametrize(
    ('mode', 'convert'),
    [('nearest', to_inference_form), ('bilinear', to_inference_form), ('bilinear', copy.deepcopy)],
)
def test_the_compiler_with_frozen_weights_changes_nothing(mode: str, convert) -> None:
    """Inductor got the inference form's additions wrong; it is kept out of them."""
    torch.compiler.reset()
    model = scrambled(upsample_cfg=dict(mode=mode))
    x = images(dtype=torch.float32)
    truth = model(x)
    with torch._inductor.config.patch(freezing=True):
        assert_close(tuple(torch.compile(convert(model))(x)), truth, rel=TOLERANCE)


@torch.no_grad()
@pytest.mark.filterwarnings('ignore')  # the tracer's and the exporter's own
def test_onnx_runtime_computes_the_same(tmp_path: Path) -> None:
    model = scrambled()
    x = images(n=1, size=(32, 64), dtype=torch.float32)
    file = str(tmp_path / 'model.onnx')
    torch.onnx.export(to_inference_form(model), (x,), file, dynamo=False)
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert_close(tuple(map(torch.from_numpy, found)), model(x), rel=TOLERANCE)
