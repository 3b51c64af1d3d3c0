"""What an argument left out means in each scope, read off the packages' own HRNets."""

from __future__ import annotations

import inspect

import pytest
import torch
from peers import CODEBASES, build_ours, build_peer, in_scope, models_of, tiny
from torch import nn

from hrnet_mm import SCOPE_DEFAULTS, HRNetBackbone
from hrnet_mm.models.stages import Upsampling

pytestmark = pytest.mark.filterwarnings('ignore:HRNetBackbone in scope mmdet')


def upsampling_of(peer: nn.Module) -> Upsampling:
    """How the first fusion path of a peer that enlarges a stream does it."""
    layer = peer.stage2[0].fuse_layers[0][1][2]
    return Upsampling(layer.mode, layer.align_corners)


def test_the_table_holds_all_packages():
    assert sorted(SCOPE_DEFAULTS) == sorted(CODEBASES)


@pytest.mark.parametrize('scope', CODEBASES)
def test_they_are_the_packages(scope):
    """Upsampling, outputs, initialisation, and norm_eval where weights are pretrained."""
    peer, ours = build_peer(scope), build_ours(scope)
    assert ours.upsampling == upsampling_of(peer)
    peer.eval()  # mmpose's gives None
    x = torch.zeros(1, 3, 32, 32)
    assert [y.shape for y in ours.eval()(x)] == [y.shape for y in peer(x)]
    assert ours.init_cfg == peer.init_cfg

    signature = inspect.signature(models_of(scope).get('HRNet').__init__)
    init_cfg = dict(type='Pretrained', checkpoint='unused.pth')
    assert build_ours(scope, init_cfg=init_cfg).norm_eval is signature.parameters['norm_eval'].default


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
        model = HRNetBackbone(extra=tiny())
    peer = build_peer('mmpretrain')
    assert model.upsampling == upsampling_of(peer)
    assert model.out_indices == (0, 1, 2, 3)
    assert model.norm_eval is peer.norm_eval
    assert model.init_cfg == peer.init_cfg


BILINEAR = dict(mode='bilinear', align_corners=True)
NEAREST = dict(mode='nearest', align_corners=None)
PRETRAINED = dict(type='Pretrained', checkpoint='unused.pth')


@pytest.mark.parametrize('scope', [None, *CODEBASES])
def test_an_argument_wins_over_extra_over_scope(scope):
    for cfg, other in ((BILINEAR, NEAREST), (NEAREST, BILINEAR)):
        truth = Upsampling(**cfg)
        assert build_ours(scope, extra=tiny() | dict(upsample=cfg)).upsampling == truth
        model = build_ours(scope, extra=tiny() | dict(upsample=other), upsample_cfg=cfg)
        assert model.upsampling == truth
    for wanted, outputs in ((True, (0, 1, 2, 3)), (False, (0,))):
        assert build_ours(scope, extra=tiny(multiscale_output=wanted)).out_indices == outputs
        model = build_ours(scope, extra=tiny(multiscale_output=not wanted), multiscale_output=wanted)
        assert model.out_indices == outputs
        assert build_ours(scope, norm_eval=wanted).norm_eval is wanted
        assert build_ours(scope, norm_eval=wanted, init_cfg=PRETRAINED).norm_eval is wanted
    model = build_ours(scope, init_cfg=dict(type='Constant', val=0.5, layer='Conv2d'))
    model.init_weights()
    assert (model.conv1.weight == 0.5).all()


def test_defaults_are_not_shared_between_models():
    first = build_ours('mmpose')
    first.init_cfg[0]['std'] = 1e9
    assert build_ours('mmpose').init_cfg == build_peer('mmpose').init_cfg
