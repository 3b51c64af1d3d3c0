"""Architectures: named ones against published sizes, any other is built and learns or is refused by name."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers import TINY, assert_close, build_ours, build_pair, images, models_of, objective, stage, tiny
from torch import nn

from hrnet_mm import NAMED_ARCHS, HRNetBackbone, HRNetClassificationNeck
from hrnet_mm.models.arch import resolve_arch

# Parameters of the whole classification networks (1000 classes). Source: README of the authors'
# HRNet-Image-Classification, which prints them rounded (13.2M ... 128.1M); these are the exact counts.
CLASSIFICATION_PARAMETERS = {
    'w18_small_v1': 13_187_464,
    'w18_small_v2': 15_597_464,
    'w18': 21_299_004,
    'w30': 37_712_220,
    'w32': 41_232_680,
    'w40': 57_557_160,
    'w44': 67_064_984,
    'w48': 77_469_864,
    'w64': 128_059_944,
}

# Pose networks with 17 keypoints. Source: README of the authors' deep-high-resolution-net.pytorch
# (28.5M and 63.6M); these are the exact counts.
POSE_PARAMETERS = {'w32': 28_536_113, 'w48': 63_595_745}


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_networks_have_the_published_sizes():
    assert list(NAMED_ARCHS) == list(CLASSIFICATION_PARAMETERS)
    with torch.device('meta'):
        for arch, published in CLASSIFICATION_PARAMETERS.items():
            backbone = build_ours(None, arch=arch)
            neck = HRNetClassificationNeck(backbone.out_channels)
            assert parameters(backbone, neck, nn.Linear(2048, 1000)) == published, arch
        for arch, published in POSE_PARAMETERS.items():
            backbone = build_ours('mmpose', arch=arch)
            head = nn.Conv2d(backbone.out_channels[0], 17, kernel_size=1)
            assert parameters(backbone, head) == published, arch


def test_names_mean_what_they_mean_in_mmpretrain():
    zoo = models_of('mmpretrain').get('HRNet').arch_zoo
    for arch in ('w18', 'w30', 'w32', 'w40', 'w44', 'w48', 'w64'):
        ours = [[s.modules, len(s.channels), s.block, s.blocks, s.channels] for s in NAMED_ARCHS[arch]]
        assert ours == zoo[arch], arch


def test_w32_is_the_default():
    with torch.device('meta'):
        assert HRNetBackbone().out_channels == (32, 64, 128, 256)


def test_a_dict_arch_is_an_extra_which_is_used_instead_of_a_name():
    extra = tiny()
    assert HRNetBackbone(extra).out_channels == (4, 8, 16, 32)
    assert extra == TINY
    with pytest.warns(UserWarning, match=r"arch='w18' is not used, because extra is given"):
        assert HRNetBackbone('w18', extra=TINY).out_channels == (4, 8, 16, 32)


# -- random architectures -------------------------------------------------------------------------


@st.composite
def extras(draw) -> dict:
    """Any ``extra`` that describes four stages whose number of streams never shrinks."""
    counts = [1, *sorted(draw(st.lists(st.integers(1, 4), min_size=3, max_size=3)))]
    found = {}
    for number, count in enumerate(counts, start=1):
        block = draw(st.sampled_from(['BASIC', 'BOTTLENECK']))
        found[f'stage{number}'] = stage(
            draw(st.integers(1, 2)) if number > 1 else 1,
            block,
            draw(st.lists(st.integers(1, 2), min_size=count, max_size=count)),
            draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)),
        )
    return found


# mmpretrain's HRNet is the only peer that feeds a transition between stages of different widths
# from the stream it belongs to; the others take the coarsest stream there.
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(extra=extras())
def test_random_architectures_equal_mmpretrain(extra):
    peer, ours = build_pair('mmpretrain', extra=extra)
    assert list(ours.state_dict()) == list(peer.state_dict())
    peer.eval(), ours.eval()
    x = images(1, size=(64, 32))
    with torch.no_grad():
        assert_close(ours.double()(x), peer.double()(x), rel=1e-10)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), extra=extras(), size=st.tuples(st.integers(33, 80), st.integers(33, 80)))
def test_a_valid_one_learns(data: st.DataObject, extra: dict[str, Any], size: tuple[int, int]) -> None:
    """At any size, with any choice of outputs: shapes as promised, and finite gradients."""
    streams = extra['stage4']['num_branches']
    wanted = sorted(data.draw(st.sets(st.integers(0, streams - 1), min_size=1)))
    modules = tuple(extra[f'stage{n}']['num_modules'] for n in (2, 3, 4))
    fusions = tuple(data.draw(st.integers(0, count)) for count in modules)
    model = HRNetBackbone(extra=extra, out_indices=wanted, fusions=fusions)
    model.init_weights()
    outputs = model(torch.randn(2, 3, *size))
    for index, y, channels in zip(wanted, outputs, model.out_channels, strict=True):
        assert tuple(y.shape) == (2, channels, *(-(-side // (4 * 2**index)) for side in size))
    objective(outputs).backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert fusions != modules or all(gradient is not None for gradient in gradients)
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


# -- malformed architectures ----------------------------------------------------------------------


def broken(stage_name: str, key: str, value: object) -> dict:
    """``TINY`` with one entry replaced."""
    extra = copy.deepcopy(TINY)
    extra[stage_name][key] = value
    return extra


MALFORMED = [
    ('stage1', 'num_modules', 0, '0 .*expected an integer from 1 to 100'),
    ('stage2', 'block', 'Basic', "'Basic' is unknown; expected BASIC or BOTTLENECK"),
    ('stage4', 'num_blocks', '4444', "'4444' does not hold one number per stream; expected 4"),
    ('stage2', 'num_channels', (4, 8, 16), r'\(4, 8, 16\) does not hold one number per stream; expected 2'),
]


@pytest.mark.parametrize(('stage_name', 'key', 'value', 'message'), MALFORMED)
def test_a_malformed_entry_is_named_with_its_value(stage_name, key, value, message):
    with pytest.raises(ValueError, match=rf'^extra\.{stage_name}\.{key}={message}'):
        HRNetBackbone(extra=broken(stage_name, key, value))


def test_missing_parts_are_named():
    rest = {name: value for name, value in TINY.items() if name != 'stage3'}
    with pytest.raises(ValueError, match='extra lacks stage3; expected stage1, stage2'):
        resolve_arch(rest)
    shortened = {key: value for key, value in TINY['stage3'].items() if key != 'block'}
    with pytest.raises(ValueError, match=r'extra\.stage3 lacks block; expected num_modules'):
        resolve_arch(rest | {'stage3': shortened})


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"arch='w33': expected one of w18_small_v1, .*w64, or a dict with"):
        HRNetBackbone('w33')


@pytest.mark.parametrize('counts', [[2, 2, 3, 4], [1, 3, 2, 4], [1, 2, 3, 2]])
def test_streams_that_vanish_are_refused(counts):
    extra = {f'stage{i}': stage(1, 'BASIC', (1,) * n, (4,) * n) for i, n in enumerate(counts, start=1)}
    expected = rf'num_branches={re.escape(str(counts))} .*expected 1 in stage1'
    with pytest.raises(ValueError, match=expected):
        HRNetBackbone(extra=extra)
