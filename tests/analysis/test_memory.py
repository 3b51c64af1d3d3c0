"""Peak memory: against counts by hand, torch's profiler, and the same network on a real device."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torch.profiler import ProfilerActivity, profile

from hrnet_mm.analysis import Memory, PeakMemory, empty_image, memory_of, peak_of, run
from hrnet_mm.analysis.memory import QuickNorms
from hrnet_mm.analysis.running import _CutOuts
from hrnet_mm.config.build import build_model
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DEVICES = ['meta', 'cpu']

pytestmark = pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')


# -- counts by hand -------------------------------------------------------------------------------


@pytest.mark.parametrize('device', DEVICES)
def test_a_storage_counts_once_and_until_its_last_tensor_is_gone(device):
    before = torch.empty(10, device=device)
    with PeakMemory([before, before[:5]]) as memory:
        assert memory.current == 40
        made = before + 1
        view = made.view(2, 5)
        assert memory.current == 80
        del made
        assert memory.current == 80
        del view
        assert memory.current == 40
        torch.empty(5, dtype=torch.float64, device=device)
    assert (memory.current, memory.peak) == (40, 80)


def two_convs(device: str) -> nn.Module:
    """Two convolutions of 8 channels that keep the size, a ReLU after each."""
    first, second = (nn.Conv2d(i, 8, 3, padding=1, bias=False, device=device) for i in (3, 8))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


WEIGHTS = 4 * 9 * (3 * 8 + 8 * 8)
IMAGE = 4 * 3 * 16 * 16
FEATURES = 4 * 8 * 16 * 16


@pytest.mark.parametrize('device', DEVICES)
def test_inference_by_hand(device):
    """A ReLU's input and output live side by side; nothing earlier does."""
    image = torch.zeros(1, 3, 16, 16, device=device)
    assert peak_of(two_convs(device), image, training=False) == WEIGHTS + IMAGE + 2 * FEATURES


@pytest.mark.parametrize('device', DEVICES)
def test_training_by_hand(device):
    """The most is alive where the first ReLU is run backward.

    Its output, the gradient that arrives and the one that leaves; the second convolution's weights have
    their gradient already. A few numbers belong to the sum that everything starts from.
    """
    model, image = two_convs(device), torch.zeros(1, 3, 16, 16, device=device)
    by_hand = WEIGHTS + IMAGE + 3 * FEATURES + 4 * 9 * 8 * 8
    assert 0 <= peak_of(model, image, training=True) - by_hand <= 32
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


# -- against the real thing -----------------------------------------------------------------------


def config(name: str) -> Config:
    return load_config(name if '::' in name else CONFIGS / name)


def on_meta(cfg: Config, shape: tuple[int, int], **how: int) -> Memory:
    return memory_of(build_model(cfg, device='meta'), shape, **how)


def test_the_meta_device_counts_what_a_cpu_holds(monkeypatch):
    # on a CPU alone the image and the outputs are held in a second memory format, norms are folded, and
    # inference convolves before it upsamples
    monkeypatch.setattr('hrnet_mm.models.conv_norm.is_plain_cpu', lambda x: False)
    necks = import_module('hrnet_mm.models.necks.hrnet_v2')
    monkeypatch.setattr(necks, '_convolves_first', lambda x: torch.is_grad_enabled())
    cfg = config('hrnetv2_w18_small_v1_synthetic.py')
    real = build_model(cfg)
    meta, truth = on_meta(cfg, (32, 64)), memory_of(real, (32, 64))
    assert meta == truth
    assert meta.weights == sum(t.nbytes for t in [*real.parameters(), *real.buffers()])


@pytest.mark.parametrize('training', [False, True])
def test_quick_norms_give_what_norms_give(training):
    """Shapes and types, on the meta device and a CPU, there and back."""
    grads = []
    for device in DEVICES:
        norm = nn.BatchNorm2d(3, device=device).train(training)
        x = torch.rand(2, 3, 4, 4, device=device, requires_grad=True)
        with QuickNorms():
            norm(x).sum().backward()
        grads.append([(t.grad.shape, t.grad.dtype) for t in (x, norm.weight, norm.bias)])
    assert grads[0] == grads[1]


@pytest.mark.nightly
def test_torchs_profiler_sees_the_same():
    """HRNet-W32: every allocation of a real pass, added up.

    Operations' workspace comes on top, and on a CPU maps in a second memory format and folded weights.
    """
    cfg, shape = config('hrnetv1_w32_coco_256x192.py'), (128, 96)
    meta = build_model(cfg, device='meta')
    empty = empty_image(meta, shape, batch=2)
    inference = peak_of(meta, empty, lambda images: run(meta, images), training=False)
    training = on_meta(cfg, shape).training
    model = build_model(cfg)
    images = empty_image(model, shape, batch=2)
    present = images.nbytes + sum(t.nbytes for t in [*model.parameters(), *model.buffers()])

    def forward() -> None:
        with torch.no_grad():
            run(model, images)

    def forward_and_backward() -> None:
        run(model.train(), images).sum().backward()

    for peak, work in ((inference, forward), (training, forward_and_backward)):
        assert peak - present <= most_allocated(work) <= 1.2 * (peak - present)


def most_allocated(work: Callable[[], None]) -> int:
    """Peak of the bytes that the profiler saw allocated, less those freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == '[memory]']
    current = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        current += event.nbytes()
        peak = max(peak, current)
    return peak


# -- whole models ---------------------------------------------------------------------------------


def test_auxiliary_heads_cost_weights_in_inference_and_more_in_training():
    cfg = config('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')
    with_head = on_meta(cfg, (64, 64))
    head = 4 * (9 * 256 * 64 + 4 * 64 + 65 * 19) + 8  # two statistics in each norm, and its counter
    cfg.model.auxiliary_head = None
    without = on_meta(cfg, (64, 64))
    assert with_head.weights - without.weights == with_head.inference - without.inference == head
    assert with_head.training - without.training > head


def test_rois_count_in_inference_and_training():
    cfg = config('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py')
    few, many = (on_meta(cfg, (64, 96), rois=rois) for rois in (500, 1000))
    assert many.weights == few.weights
    assert many.inference - few.inference >= 500 * 4 * 1024
    assert many.training - few.training >= 2 * 500 * 4 * 1024  # kept for the backward pass


def test_cut_outs_send_a_gradient_to_every_level():
    levels = [torch.rand(1, 2, side, side, requires_grad=True) for side in (8, 4)]
    cut_outs = _CutOuts.apply((5, 2, 7, 7), *levels)
    assert cut_outs.shape == (5, 2, 7, 7)
    cut_outs.sum().backward()
    assert [level.grad.shape for level in levels] == [level.shape for level in levels]


def test_what_cannot_be_trained_is_told_in_one_line():
    model = two_convs('meta').requires_grad_(False)
    with pytest.raises(
        ConfigError, match=r"'Sequential': expected a model that can run backward \("
    ) as caught:
        peak_of(model, torch.zeros(1, 3, 8, 8, device='meta'), training=True)
    assert '\n' not in str(caught.value)
