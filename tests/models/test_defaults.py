"""What an argument left out means in each scope, read off the packages' own HRNets."""

from __future__ import annotations

import inspect

import pytest
import torch
from peers import CODEBASES, build_ours, build_peer, in_scope, models_of, tiny
from torch import nn

from hrnet_mm import SCOPE_DEFAULTS
from hrnet_mm.models.stages import Upsampling

pytestmark = pytest.mark.filterwarnings('ignore:HRNetBackbone in scope mmdet')


def upsampling_of(peer: nn.Module) -> Upsampling:
    """How the first fusion path of a peer that enlarges a stream does it."""
    layer = peer.stage2[0].fuse_layers[0][1][2]
    return Upsampling(layer.mode, layer.align_corners)


def test_the_table_holds_all_packages():
    assert sorted(SCOPE_DEFAULTS) == sorted(CODEBASES)


@pytest.mark.parametrize('scope', CODEBASES)
def test_upsampling_is_the_packages(scope):
    assert build_ours(scope).upsampling == upsampling_of(build_peer(scope))


@pytest.mark.parametrize('scope', CODEBASES)
def test_outputs_are_the_packages(scope):
    x = torch.zeros(1, 3, 32, 32)
    peer = build_peer(scope)
    peer.eval()  # mmpose's eval() returns None
    truth = [y.shape for y in peer(x)]
    assert [y.shape for y in build_ours(scope).eval()(x)] == truth


@pytest.mark.parametrize('scope', CODEBASES)
def test_norm_eval_with_pretrained_weights_is_the_packages(scope):
    signature = inspect.signature(models_of(scope).get('HRNet').__init__)
    truth = signature.parameters['norm_eval'].default
    init_cfg = dict(type='Pretrained', checkpoint='unused.pth')
    assert build_ours(scope, init_cfg=init_cfg).norm_eval is truth


@pytest.mark.parametrize('scope', CODEBASES)
def test_initialisation_is_the_packages(scope):
    truth = build_peer(scope).init_cfg
    assert build_ours(scope).init_cfg == truth


# mmpretrain 1.2 builds its first stage with batch norms whatever norm_cfg says
@pytest.mark.parametrize(
    ('scope', 'norm'), [*((scope, 'BN') for scope in CODEBASES), *((s, 'GN') for s in CODEBASES[:3])]
)
def test_one_seed_gives_the_packages_initial_weights(scope, norm):
    kwargs = dict(norm_cfg=dict(type='GN', num_groups=2)) if norm == 'GN' else {}

    def initial(build):
        torch.manual_seed(7)
        model = build(scope, **kwargs)
        model.init_weights()
        return model.state_dict()

    truth, ours = initial(build_peer), initial(build_ours)
    assert list(ours) == list(truth)
    assert all(torch.equal(ours[key], truth[key]) for key in truth)
    assert truth['conv1.weight'].std() > 0


@pytest.mark.parametrize('scope', [None, 'mmengine', 'mmrotate'])
def test_outside_the_four_packages_mmpretrain_is_followed(scope):
    with in_scope(scope):
        from hrnet_mm import HRNetBackbone

        model = HRNetBackbone(extra=tiny())
    peer = build_peer('mmpretrain')
    assert model.upsampling == upsampling_of(peer)
    assert model.out_indices == (0, 1, 2, 3)
    assert model.norm_eval is peer.norm_eval
    assert model.init_cfg == peer.init_cfg


@pytest.mark.parametrize('scope', CODEBASES)
def test_the_prefixed_name_follows_the_scope_too(scope):
    with in_scope(scope):
        model = models_of(scope).build(dict(type='hrnet_mm.HRNetBackbone', extra=tiny()))
    plain = build_ours(scope)
    assert (model.upsampling, model.out_indices) == (plain.upsampling, plain.out_indices)
    assert model.init_cfg == plain.init_cfg


BILINEAR = dict(mode='bilinear', align_corners=True)
NEAREST = dict(mode='nearest', align_corners=None)
BOTH = [Upsampling('bilinear', True), Upsampling('nearest')]


@pytest.mark.parametrize('scope', [None, *CODEBASES])
@pytest.mark.parametrize(('cfg', 'other', 'expected'), [(BILINEAR, NEAREST, 0), (NEAREST, BILINEAR, 1)])
def test_upsampling_argument_wins_over_extra_over_scope(scope, cfg, other, expected):
    assert build_ours(scope, extra=tiny() | dict(upsample=cfg)).upsampling == BOTH[expected]
    model = build_ours(scope, extra=tiny() | dict(upsample=other), upsample_cfg=cfg)
    assert model.upsampling == BOTH[expected]


@pytest.mark.parametrize('scope', [None, *CODEBASES])
@pytest.mark.parametrize(('wanted', 'outputs'), [(True, (0, 1, 2, 3)), (False, (0,))])
def test_multiscale_argument_wins_over_extra_over_scope(scope, wanted, outputs):
    assert build_ours(scope, extra=tiny(multiscale_output=wanted)).out_indices == outputs
    model = build_ours(scope, extra=tiny(multiscale_output=not wanted), multiscale_output=wanted)
    assert model.out_indices == outputs


@pytest.mark.parametrize('scope', [None, *CODEBASES])
@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval_argument_wins_over_scope(scope, norm_eval):
    init_cfg = dict(type='Pretrained', checkpoint='unused.pth')
    assert build_ours(scope, norm_eval=norm_eval).norm_eval is norm_eval
    assert build_ours(scope, norm_eval=norm_eval, init_cfg=init_cfg).norm_eval is norm_eval


@pytest.mark.parametrize('scope', [None, *CODEBASES])
def test_init_cfg_argument_wins_over_scope(scope):
    model = build_ours(scope, init_cfg=dict(type='Constant', val=0.5, layer='Conv2d'))
    model.init_weights()
    assert (model.conv1.weight == 0.5).all()


def test_defaults_are_not_shared_between_models():
    first = build_ours('mmpose')
    first.init_cfg[0]['std'] = 1e9
    assert build_ours('mmpose').init_cfg == build_peer('mmpose').init_cfg
