"""Peak memory of a network: against counts by hand, and the same network on a real device."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from publishing.memory import Memory, memory_of, peak_of
from torch import nn

from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
DEVICES = ['meta', 'cpu']

pytestmark = pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')


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


def test_auxiliary_heads_cost_weights_in_inference_and_more_in_training():
    cfg = config('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')
    with_head = on_meta(cfg, (64, 64))
    head = 4 * (9 * 256 * 64 + 4 * 64 + 65 * 19) + 8  # two statistics in each norm, and its counter
    cfg.model.auxiliary_head = None
    without = on_meta(cfg, (64, 64))
    assert with_head.weights - without.weights == with_head.inference - without.inference == head
    assert with_head.training - without.training > head
