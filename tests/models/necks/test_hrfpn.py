"""HRFPN against mmdet's with the same weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import TINY_CHANNELS, assert_close, gradients, models_of, scramble, streams
from torch import nn
from torch.nn import functional as F

from hrnet_mm import HRFPN


def build_pair(**kwargs) -> tuple[nn.Module, nn.Module]:
    """mmdet's and ours, float64, with the same random weights."""
    kwargs = dict(in_channels=list(TINY_CHANNELS), out_channels=6) | kwargs
    mmdets = models_of('mmdet').get('HRFPN')
    assert mmdets is not HRFPN
    peer, ours = scramble(mmdets(**kwargs)).double(), HRFPN(**kwargs).double()
    assert list(ours.state_dict()) == list(peer.state_dict())
    ours.load_state_dict(peer.state_dict())
    return peer, ours


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        dict(pooling_type='MAX', with_cp=True),
        dict(num_outs=1, with_cp=True),
        dict(pooling_type='MAX', num_outs=6),
        dict(stride=2),
        dict(conv_cfg=dict(type='ConvWS')),
    ],
    ids=str,
)
def test_it_equals_mmdets(kwargs):
    peer, ours = build_pair(**kwargs)
    x = streams(size=(32, 40))
    with torch.no_grad():
        truth = peer(x)
        assert len(truth) == kwargs.get('num_outs', 5)
        assert_close(ours(x), truth, rel=1e-12)
    assert_close(gradients(ours, *x), gradients(peer, *x), rel=1e-9)


def test_one_seed_gives_mmdets_initial_weights():
    def initial(cls):
        torch.manual_seed(5)
        neck = cls(in_channels=list(TINY_CHANNELS), out_channels=6)
        neck.init_weights()
        return dict(neck.state_dict())

    assert_close(initial(HRFPN), initial(models_of('mmdet').get('HRFPN')), rel=0)


def pyramid_by_hand(neck: nn.Module, x, pool) -> list[torch.Tensor]:
    """Figure 4c of the paper, any size."""
    size = x[0].shape[2:]
    resized = [F.interpolate(y, size=size, mode='bilinear', align_corners=False) for y in x]
    reduced = neck.reduction_conv(torch.cat(resized, dim=1))
    windows = [[min(2**level, side) for side in size] for level in range(len(neck.fpn_convs))]
    return [layer(pool(reduced, w, w)) for layer, w in zip(neck.fpn_convs, windows, strict=True)]


@settings(max_examples=20, deadline=None)
@given(size=st.tuples(st.integers(1, 40), st.integers(1, 40)), pooling=st.sampled_from(['AVG', 'MAX']))
def test_any_size(size, pooling):
    neck = scramble(HRFPN(TINY_CHANNELS, 6, pooling_type=pooling)).double()
    x = streams(size=size)
    pool = F.avg_pool2d if pooling == 'AVG' else F.max_pool2d
    found = neck(x)
    assert_close(found, pyramid_by_hand(neck, x, pool), rel=1e-12)
    for level, y in enumerate(found):
        assert y.shape == (2, 6, max(size[0] >> level, 1), max(size[1] >> level, 1))


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), dict(type='GN', num_groups=3)], ids=str)
def test_norm_cfg_is_honoured(norm_cfg):
    """mmdet's HRFPN takes the argument and forgets it."""
    neck = scramble(HRFPN(TINY_CHANNELS, 6, norm_cfg=norm_cfg)).double()
    norms = [m for m in neck.modules() if isinstance(m, (nn.BatchNorm2d, nn.GroupNorm))]
    assert len(norms) == 1 + 5
    assert all(m.bias is None for m in neck.modules() if isinstance(m, nn.Conv2d))
    x = streams(size=(32, 48))
    assert_close(neck(x), pyramid_by_hand(neck, x, F.avg_pool2d), rel=1e-12)


def test_checkpointing_stores_less_and_changes_nothing():
    def run(with_cp):
        neck = scramble(HRFPN(TINY_CHANNELS, 6, with_cp=with_cp, norm_cfg=dict(type='BN'))).double()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            neck(streams(size=(32, 32), requires_grad=True))
        return sum(sizes), gradients(neck, *streams(size=(32, 32)))

    (plain, truth), (recomputing, found) = run(False), run(True)
    assert recomputing < plain
    assert_close(found, truth, rel=1e-12)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(pooling_type='avg'), "HRFPN: pooling_type='avg' is unknown; expected AVG or MAX"),
        (dict(num_outs=0), 'HRFPN: num_outs=0 is not a positive integer'),
        (
            dict(in_channels=[4, 8]),
            r'HRFPN was given 4 streams of .*; expected in_channels=\[4, 8\]',
        ),
    ],
)
def test_a_bad_argument_is_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HRFPN(**dict(in_channels=TINY_CHANNELS, out_channels=6) | kwargs)(streams(dtype=torch.float32))
