"""Named architectures against published sizes; user-written ones against the packages and each rule."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peers import (
    TINY,
    assert_close,
    build_ours,
    build_pair,
    images,
    models_of,
    stage,
)
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


def test_every_named_arch_has_a_published_size():
    assert list(NAMED_ARCHS) == list(CLASSIFICATION_PARAMETERS)


@pytest.mark.parametrize(('arch', 'published'), CLASSIFICATION_PARAMETERS.items())
def test_classification_networks_have_the_published_size(arch, published):
    with torch.device('meta'):
        backbone = build_ours(None, arch=arch)
        neck = HRNetClassificationNeck(backbone.out_channels)
        head = nn.Linear(2048, 1000)
    assert parameters(backbone, neck, head) == published


@pytest.mark.parametrize(('arch', 'published'), POSE_PARAMETERS.items())
def test_pose_networks_have_the_published_size(arch, published):
    with torch.device('meta'):
        backbone = build_ours('mmpose', arch=arch)
        head = nn.Conv2d(backbone.out_channels[0], 17, kernel_size=1)
    assert parameters(backbone, head) == published


@pytest.mark.parametrize('arch', ['w18', 'w30', 'w32', 'w40', 'w44', 'w48', 'w64'])
def test_names_mean_what_they_mean_in_mmpretrain(arch):
    truth = models_of('mmpretrain').get('HRNet').arch_zoo[arch]
    ours = [[s.modules, len(s.channels), s.block, s.blocks, s.channels] for s in NAMED_ARCHS[arch]]
    assert ours == truth


def test_w32_is_the_default():
    with torch.device('meta'):
        assert HRNetBackbone().out_channels == (32, 64, 128, 256)


def test_a_dict_arch_is_an_extra():
    by_extra, by_arch = build_ours(extra=TINY), HRNetBackbone(TINY)
    assert list(by_extra.state_dict()) == list(by_arch.state_dict())


def test_extra_is_used_instead_of_arch_and_says_so():
    with pytest.warns(UserWarning, match=r"arch='w18' is not used, because extra is given"):
        model = HRNetBackbone('w18', extra=TINY)
    assert model.out_channels == (4, 8, 16, 32)


def test_extra_is_left_as_it_was_given():
    extra = copy.deepcopy(TINY)
    HRNetBackbone(extra=extra)
    assert extra == TINY


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
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(extra=extras())
def test_random_architectures_equal_mmpretrain(extra):
    peer, ours = build_pair('mmpretrain', extra=extra)
    assert list(ours.state_dict()) == list(peer.state_dict())
    peer.eval(), ours.eval()
    x = images(1, size=(64, 32))
    with torch.no_grad():
        assert_close(ours.double()(x), peer.double()(x), rel=1e-10)


# -- malformed architectures ----------------------------------------------------------------------


def broken(stage_name: str, key: str | None, value: object) -> dict:
    """``TINY`` with one entry replaced; with ``key=None`` the whole stage."""
    extra = copy.deepcopy(TINY)
    if key is None:
        extra[stage_name] = value
    else:
        extra[stage_name][key] = value
    return extra


MALFORMED = [
    ('stage1', 'num_modules', 0),
    ('stage2', 'num_modules', 1.0),
    ('stage2', 'num_modules', True),
    ('stage3', 'num_modules', '2'),
    ('stage4', 'num_modules', None),
    ('stage2', 'num_branches', 0),
    ('stage2', 'num_branches', -1),
    ('stage3', 'num_branches', (3,)),
    ('stage2', 'block', 'Basic'),
    ('stage4', 'block', None),
    ('stage2', 'num_blocks', 4),
    ('stage2', 'num_blocks', (4,)),
    ('stage3', 'num_blocks', (4, 4, 0)),
    ('stage4', 'num_blocks', '4444'),
    ('stage2', 'num_channels', (4, 8, 16)),
    ('stage3', 'num_channels', (4, 8, -16)),
    ('stage3', 'num_channels', (4, 8, 16.5)),
    ('stage4', 'num_channels', None),
]


@pytest.mark.parametrize(('stage_name', 'key', 'value'), MALFORMED)
def test_a_malformed_entry_is_named_with_its_value(stage_name, key, value):
    shown = re.escape(repr(0 if value == (4, 4, 0) else value))
    if isinstance(value, tuple) and len(value) == 3 and stage_name == 'stage3':
        # right length: the item that does not fit is shown, not the whole tuple
        shown = re.escape(repr(value[-1]))
    with pytest.raises(ValueError, match=rf'extra\.{stage_name}\.{key}={shown} .*(expected|is not a)'):
        HRNetBackbone(extra=broken(stage_name, key, value))


@given(
    stage_name=st.sampled_from(list(TINY)),
    key=st.sampled_from(['num_modules', 'num_branches', 'num_blocks', 'num_channels', 'block']),
    value=st.none()
    | st.text(max_size=5)
    | st.floats()
    | st.booleans()
    | st.integers(max_value=0)
    | st.lists(st.integers(max_value=0), max_size=5),
)
def test_any_wrong_value_is_named_by_its_key(stage_name, key, value):
    with pytest.raises(ValueError, match=rf'extra\.{stage_name}\.'):
        resolve_arch(broken(stage_name, key, value))


@pytest.mark.parametrize('stage_name', TINY)
@pytest.mark.parametrize('key', TINY['stage1'])
def test_a_missing_entry_is_named(stage_name, key):
    extra = copy.deepcopy(TINY)
    del extra[stage_name][key]
    with pytest.raises(ValueError, match=rf'extra\.{stage_name} lacks {key}; expected num_modules'):
        resolve_arch(extra)


@pytest.mark.parametrize('stage_name', TINY)
def test_a_missing_stage_is_named(stage_name):
    extra = {name: value for name, value in TINY.items() if name != stage_name}
    with pytest.raises(ValueError, match=f'extra lacks {stage_name}; expected stage1, stage2'):
        resolve_arch(extra)


@pytest.mark.parametrize('value', [None, 4, [1, 2], 'BASIC'])
def test_a_stage_that_is_no_dict_is_named(value):
    expected = rf'extra\.stage3={re.escape(repr(value))} is not a dict; expected keys num_modules'
    with pytest.raises(ValueError, match=expected):
        resolve_arch(broken('stage3', None, value))


@pytest.mark.parametrize('arch', ['w33', '', 'W32', 'hrnet_w32'])
def test_an_unknown_name_lists_the_known_ones(arch):
    with pytest.raises(ValueError, match=f'arch={arch!r}: expected one of w18_small_v1, .*w64'):
        HRNetBackbone(arch)


@pytest.mark.parametrize('arch', [32, ['w32'], 1.5])
def test_an_arch_of_another_kind_is_refused(arch):
    with pytest.raises(ValueError, match=rf'arch={re.escape(repr(arch))}: expected one of .*, or a dict'):
        HRNetBackbone(arch)


@pytest.mark.parametrize('counts', [[2, 2, 3, 4], [1, 3, 2, 4], [1, 2, 3, 2]])
def test_streams_that_vanish_are_refused(counts):
    extra = {f'stage{i}': stage(1, 'BASIC', (1,) * n, (4,) * n) for i, n in enumerate(counts, start=1)}
    expected = rf'num_branches={re.escape(str(counts))} .*expected 1 in stage1'
    with pytest.raises(ValueError, match=expected):
        HRNetBackbone(extra=extra)
