"""The necks' inference forms against mmdet's HRFPN and timm's head, and against the necks they come from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import TINY_CHANNELS, assert_close, models_of, scramble, streams
from torch import nn

from hrnet_mm import HRFPN, HRNetClassificationNeck, HRNetV2Neck, to_inference_form
from hrnet_mm.deploy.fused import FusedPart
from hrnet_mm.deploy.necks import FusedHRFPN

TOLERANCE = 1e-4
#: The second stream is as wide as the head makes it: its block has no projection and adds its own input.
CLASSIFIER_CHANNELS = (4, 256, 16, 32)


def maps(channels=TINY_CHANNELS, **kwargs) -> tuple[torch.Tensor, ...]:
    return streams(channels, **kwargs, dtype=torch.float32)


@torch.no_grad()
@pytest.mark.parametrize('kwargs', [{}, dict(stride=2, num_outs=2), dict(pooling_type='MAX')], ids=str)
def test_hrfpn_equals_mmdets(kwargs):
    kwargs = dict(in_channels=list(TINY_CHANNELS), out_channels=6) | kwargs
    peer = scramble(models_of('mmdet').get('HRFPN')(**kwargs)).eval()
    ours = HRFPN(**kwargs).eval()
    ours.load_state_dict(peer.state_dict())
    fast = to_inference_form(ours)
    assert isinstance(fast, FusedHRFPN)
    x = maps(size=(32, 40))
    assert_close(fast(x), peer(x), rel=TOLERANCE)


def hrfpn() -> nn.Module:
    return HRFPN(list(TINY_CHANNELS), 6)


def hrfpn_with_norms() -> nn.Module:
    """mmdet's takes no notice of ``norm_cfg``."""
    return HRFPN(list(TINY_CHANNELS), 6, norm_cfg=dict(type='BN'))


def classification_neck() -> nn.Module:
    return HRNetClassificationNeck(list(CLASSIFIER_CHANNELS))


def v2_neck() -> nn.Module:
    return HRNetV2Neck(list(TINY_CHANNELS))


NECKS = [
    (v2_neck, TINY_CHANNELS),
    (hrfpn, TINY_CHANNELS),
    (hrfpn_with_norms, TINY_CHANNELS),
    (classification_neck, CLASSIFIER_CHANNELS),
]


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels_last=st.booleans(),
    which=st.sampled_from(NECKS),
)
@settings(max_examples=20, deadline=None)
@torch.no_grad()
def test_any_size_and_memory_format(size, channels_last, which):
    """Inputs stay as they are, and maps have their memory format."""
    make, channels = which
    slow = scramble(make()).eval()
    fast = to_inference_form(slow)
    assert isinstance(fast, FusedPart)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = [y.contiguous(memory_format=layout) for y in maps(channels, size=size)]
    before = [y.clone() for y in x]
    assert_close(fast(x), slow(x), rel=TOLERANCE)
    assert all(torch.equal(y, z) for y, z in zip(x, before, strict=True))
    if not channels_last:
        assert all(y.is_contiguous() for y in fast(x))


@torch.no_grad()
@pytest.mark.parametrize(('make', 'channels'), NECKS)
def test_float64_takes_pytorchs_own_operators(make, channels):
    slow = scramble(make()).double().eval()
    x = streams(channels)
    assert_close(to_inference_form(slow)(x), slow(x), rel=1e-12)


@torch.no_grad()
@pytest.mark.parametrize(
    'cfg', [dict(norm_cfg=dict(type='GN', num_groups=2)), dict(conv_cfg=dict(type='ConvWS'))]
)
def test_other_norms_and_convolutions_are_left_alone(cfg):
    slow = scramble(HRFPN(list(TINY_CHANNELS), 6, **cfg)).eval()
    fast = to_inference_form(slow)
    assert isinstance(fast, HRFPN)
    assert_close(fast(maps()), slow(maps()), rel=TOLERANCE)


@pytest.mark.parametrize(('make', 'channels'), NECKS)
def test_wrong_streams_are_named(make, channels):
    fast = to_inference_form(make())
    with pytest.raises(ValueError, match='was given 4 streams of'):
        fast(maps([c + 1 for c in channels]))
