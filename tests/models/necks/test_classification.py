"""HRNetClassificationNeck against timm's classification head and mmpretrain's HRFuseScales."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from peers import (
    TINY_CHANNELS,
    assert_close,
    build_ours,
    gradients,
    images,
    models_of,
    scramble,
    streams,
)
from torch import nn

from hrnet_mm import HRNetClassificationNeck

WIDTHS_SMALL_V1 = (16, 32, 64, 128)


@pytest.fixture(scope='module')
def timms() -> nn.Module:
    """The smallest HRNet of timm, whose head is as wide as any."""
    return scramble(timm.create_model('hrnet_w18_small', pretrained=False)).double()


class Head(nn.Module):
    """The body's end in timm: what lies between the last stage and global pooling."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.incre_modules = model.incre_modules
        self.downsamp_modules = model.downsamp_modules
        self.final_layer = model.final_layer

    def forward(self, x) -> tuple[torch.Tensor]:
        total = self.incre_modules[0](x[0])
        for i, down in enumerate(self.downsamp_modules):
            total = self.incre_modules[i + 1](x[i + 1]) + down(total)
        return (self.final_layer(total),)


def neck_with(weights: dict[str, torch.Tensor], in_channels=WIDTHS_SMALL_V1, **kwargs) -> nn.Module:
    neck = HRNetClassificationNeck(in_channels, **kwargs).double()
    assert list(neck.state_dict()) == list(weights)
    neck.load_state_dict(weights)
    return neck


@pytest.mark.parametrize('training', [True, False])
def test_keys_outputs_and_gradients_equal_timms(timms, training):
    head = Head(timms).train(training)
    neck = neck_with(head.state_dict()).train(training)
    x = streams(WIDTHS_SMALL_V1, (16, 16))
    assert_close(neck(x), head(x), rel=1e-12)
    # a bias before a batch norm in training mode has the gradient zero: nothing to compare in it
    cancelled = [f'downsamp_modules.{i}.0.bias' for i in range(3)] + ['final_layer.0.bias']
    found, truth = gradients(neck, *x), gradients(head, *x)
    for name in cancelled if training else ():
        scale = truth[name.replace('0.bias', '1.bias')].abs().max()
        assert found.pop(name).abs().max() < 1e-9 * scale
        assert truth.pop(name).abs().max() < 1e-9 * scale
    assert_close(found, truth, rel=1e-9)


def test_the_whole_network_equals_timms(timms):
    """Body and neck with timm's weights, from pixels to the last map."""
    weights = timms.state_dict()
    body = build_ours(None, arch='w18_small_v1').double()
    neck = HRNetClassificationNeck(body.out_channels).double()
    expected = list(body.state_dict()) + list(neck.state_dict())
    assert expected == [k for k in weights if not k.startswith('classifier.')]
    body.load_state_dict({k: weights[k] for k in body.state_dict()})
    neck.load_state_dict({k: weights[k] for k in neck.state_dict()})
    x = images(1, size=(64, 96))
    with torch.no_grad():
        truth = timms.eval().forward_features(x)
        assert_close(neck.eval()(body.eval()(x)), (truth,), rel=1e-10)


def test_it_equals_mmpretrains_with_the_bias_folded():
    """mmpretrain left the biases out: ``norm(conv + b)`` is its norm with the mean moved by ``b``."""
    peer = scramble(models_of('mmpretrain').get('HRFuseScales')(list(TINY_CHANNELS), out_channels=24))
    neck = HRNetClassificationNeck(TINY_CHANNELS, out_channels=24)
    neck = scramble(neck, seed=2).double().eval()

    renamed = {}
    for key, value in neck.state_dict().items():
        key = key.replace('incre_modules', 'increase_layers')
        key = key.replace('downsamp_modules', 'downsample_layers')
        if not key.startswith('increase_layers'):
            key = re.sub(r'\.0\.(weight|bias)$', r'.conv.\1', key)
            key = re.sub(r'\.1\.(\w+)$', r'.bn.\1', key)
        renamed[key] = value.clone()
    for key in [k for k in renamed if k.endswith('conv.bias')]:
        renamed[key.replace('conv.bias', 'bn.running_mean')] -= renamed.pop(key)

    peer = peer.double().eval()
    peer.load_state_dict(renamed, strict=True)
    x = streams(size=(16, 24))
    assert_close(neck(x), peer(x), rel=1e-12)


def test_without_bias_it_has_mmpretrains_parameters():
    peer = models_of('mmpretrain').get('HRFuseScales')(list(TINY_CHANNELS))
    ours = HRNetClassificationNeck(TINY_CHANNELS, conv_bias=False)
    shapes = [tuple(p.shape) for p in ours.parameters()]
    assert shapes == [tuple(p.shape) for p in peer.parameters()]


def test_the_output_is_as_large_as_the_coarsest_stream():
    neck = HRNetClassificationNeck(TINY_CHANNELS, out_channels=24).double().eval()
    for size in ((1, 1), (7, 5), (16, 16)):
        x = streams(size=size)
        assert neck(x)[0].shape == (2, 24, *x[-1].shape[2:])


def test_norms_are_built_as_asked():
    neck = HRNetClassificationNeck(TINY_CHANNELS, norm_cfg=dict(type='GN', num_groups=4))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in neck.modules())
    assert sum(isinstance(m, nn.GroupNorm) for m in neck.modules()) == 4 * 4 + 3 + 1


def test_initialisation_is_kaimings():
    neck = HRNetClassificationNeck(TINY_CHANNELS)
    neck.init_weights()
    weight, bias = neck.final_layer[0].weight, neck.final_layer[0].bias
    assert weight.std().item() == pytest.approx((2 / 2048) ** 0.5, rel=0.01)  # fan out
    assert (bias == 0).all()


def test_a_wrong_number_of_streams_is_named_when_built():
    expected = r'HRNetClassificationNeck: in_channels=\[4, 8, 16\] names 3 streams; expected 4'
    with pytest.raises(ValueError, match=expected):
        HRNetClassificationNeck((4, 8, 16))


def test_wrong_streams_are_named():
    expected = r'HRNetClassificationNeck was given 3 streams of \[4, 8, 16\] channels; expected in_channels='
    with pytest.raises(ValueError, match=expected):
        HRNetClassificationNeck(TINY_CHANNELS)(streams((4, 8, 16), dtype=torch.float32))
