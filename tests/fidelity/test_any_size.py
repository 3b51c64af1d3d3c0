"""Any image: 1 to 300 pixels a side, any batch, 1 to 6 channels."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import CODEBASES, TINY_CHANNELS, assert_close, build_ours, build_pair, images, scramble
from torch import nn

from hrnet_mm import HRFPN, HRNetClassificationNeck, HRNetV2Neck

pytestmark = pytest.mark.nightly

pixels = st.integers(1, 300)
sizes = st.tuples(pixels, pixels)
channels = st.integers(1, 6)
batches = st.integers(1, 3)
UPSAMPLINGS = [('nearest', None), ('bilinear', False), ('bilinear', True)]


@cache
def backbone(in_channels: int, mode: str, align_corners: bool | None) -> nn.Module:
    upsample_cfg = dict(mode=mode, align_corners=align_corners)
    return scramble(build_ours(in_channels=in_channels, upsample_cfg=upsample_cfg)).eval()


@cache
def pair(scope: str, in_channels: int) -> tuple[nn.Module, nn.Module]:
    peer, ours = build_pair(scope, in_channels=in_channels, norm_eval=False)
    peer.eval(), ours.eval()
    return peer, ours


@cache
def necks() -> tuple[nn.Module, nn.Module, nn.Module]:
    v2, fpn, cls = HRNetV2Neck(TINY_CHANNELS), HRFPN(TINY_CHANNELS, 8), HRNetClassificationNeck(TINY_CHANNELS)
    return scramble(v2).eval(), scramble(fpn).eval(), scramble(cls).eval()


@settings(max_examples=30, deadline=None)
@given(n=batches, in_channels=channels, size=sizes, upsampling=st.sampled_from(UPSAMPLINGS))
def test_shapes_are_the_promised_ones(n, in_channels, size, upsampling):
    with torch.no_grad():
        streams = backbone(in_channels, *upsampling)(images(n, in_channels, size, dtype=torch.float32))
        v2, fpn, cls = (neck(streams) for neck in necks())
    at = [tuple(-(-side // (4 * 2**i)) for side in size) for i in range(4)]
    assert [y.shape for y in streams] == [(n, c, *at[i]) for i, c in enumerate(TINY_CHANNELS)]
    assert [y.shape for y in v2] == [(n, sum(TINY_CHANNELS), *at[0])]
    assert [y.shape for y in cls] == [(n, 2048, *at[3])]
    assert [y.shape for y in fpn] == [(n, 8, *(max(side // 2**i, 1) for side in at[0])) for i in range(5)]
    assert all(y.isfinite().all() for y in (*streams, *v2, *fpn, *cls))


@settings(max_examples=20, deadline=None)
@given(
    n=batches,
    in_channels=channels,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    scope=st.sampled_from(CODEBASES),
)
def test_multiples_of_32_equal_every_package(n, in_channels, size, scope):
    peer, ours = pair(scope, in_channels)
    x = images(n, in_channels, [32 * side for side in size], dtype=torch.float32)
    with torch.no_grad():
        assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-5)
