"""HRNetClassificationNeck against timm's classification head and mmpretrain's HRFuseScales."""

from __future__ import annotations

import re

import pytest
import timm
import torch
from peers import TINY_CHANNELS, assert_close, build_ours, gradients, images, models_of, scramble, streams
from torch import nn

from hrnet_mm import HRNetClassificationNeck


class TimmFeatures(nn.Module):
    """The smallest HRNet of timm, whose head is as wide as any, up to global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.model = scramble(timm.create_model('hrnet_w18_small', pretrained=False)).double()
        self.model.classifier = nn.Identity()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model.forward_features(x),)


class Ours(nn.Module):
    """Body and neck under one roof, so that keys are timm's."""

    def __init__(self) -> None:
        super().__init__()
        body = build_ours(None, arch='w18_small_v1').double()
        neck = HRNetClassificationNeck(body.out_channels).double()
        self.model = nn.ModuleDict([*body.named_children(), *neck.named_children()])
        self.forward = lambda x: neck(body(x))


@pytest.mark.parametrize('training', [True, False])
def test_body_and_neck_equal_timms(training):
    """From pixels to the last map: keys, outputs, gradients."""
    truth, ours = TimmFeatures().train(training), Ours().train(training)
    assert list(ours.state_dict()) == list(truth.state_dict())
    ours.load_state_dict(truth.state_dict())
    x = images(size=(64, 96))
    assert_close(ours(x), truth(x), rel=1e-10)
    found, expected = gradients(ours, x), gradients(truth, x)
    for key in [k for k in expected if k.endswith('.0.bias')] if training else ():
        # a bias before a batch norm in training mode has the gradient zero: nothing to compare in it
        scale = expected[key.replace('0.bias', '1.bias')].abs().max()
        assert found.pop(key).abs().max() < 1e-9 * scale
        assert expected.pop(key).abs().max() < 1e-9 * scale
    assert_close(found, expected, rel=1e-8)


def test_it_equals_mmpretrains_with_the_bias_folded():
    """mmpretrain left the biases out: ``norm(conv + b)`` is its norm with the mean moved by ``b``."""
    peer = scramble(models_of('mmpretrain').get('HRFuseScales')(list(TINY_CHANNELS), out_channels=24))
    unbiased = HRNetClassificationNeck(TINY_CHANNELS, out_channels=24, conv_bias=False)
    assert [p.shape for p in unbiased.parameters()] == [p.shape for p in peer.parameters()]
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
    for size in ((16, 24), (7, 5), (1, 1)):
        x = streams(size=size)
        assert_close(neck(x), peer(x), rel=1e-12)


def test_initialisation_is_kaimings():
    neck = HRNetClassificationNeck(TINY_CHANNELS)
    neck.init_weights()
    weight, bias = neck.final_layer[0].weight, neck.final_layer[0].bias
    assert weight.std().item() == pytest.approx((2 / 2048) ** 0.5, rel=0.01)  # fan out
    assert (bias == 0).all()


def test_wrong_streams_are_named():
    with pytest.raises(ValueError, match=r'Neck: in_channels=\[4, 8, 16\] names 3 streams; expected 4'):
        HRNetClassificationNeck((4, 8, 16))
    with pytest.raises(ValueError, match=r'Neck was given 3 streams of \[4, 8, 16\] channels; expected'):
        HRNetClassificationNeck(TINY_CHANNELS)(streams((4, 8, 16), dtype=torch.float32))
