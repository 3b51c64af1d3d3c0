"""The one-word swap, ``HRNet`` to ``HRNetBackbone``, in every config that the four packages ship."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from peers import CODEBASES, assert_close, images, in_scope, learnable, models_of, modes, scramble
from shipped import build_both, configs_of, distinct_backbones, hrnets_in, load, shipped_configs, swap
from torch import nn

#: Configs of the pinned versions that resolve to an HRNet: 189.
COUNTS = {'mmpose': 87, 'mmseg': 66, 'mmdet': 29, 'mmpretrain': 7}
DISTINCT = {'mmpose': 8, 'mmseg': 3, 'mmdet': 3, 'mmpretrain': 7}
DISTINCT_MODELS = {'mmpose': 5, 'mmseg': 3, 'mmdet': 3, 'mmpretrain': 7}


@pytest.mark.parametrize('scope', CODEBASES)
def test_the_walk_finds_every_config(scope):
    configs = shipped_configs(scope)
    assert len(configs) == COUNTS[scope]
    assert all(len(config.backbones) == 1 for config in configs)
    assert len(distinct_backbones(scope)) == DISTINCT[scope]


@pytest.mark.parametrize('scope', CODEBASES)
def test_keys_shapes_modes_and_gradients_in_all_configs(scope):
    """On the meta device; configs whose backbone dicts are equal share one building."""
    compared: dict[str, list[str]] = {}
    for config in shipped_configs(scope):
        for cfg in config.backbones:
            compared.setdefault(repr(cfg), []).append(config.name)
            if len(compared[repr(cfg)]) == 1:
                assert_swappable(scope, cfg, config.name)
    assert sum(map(len, compared.values())) == COUNTS[scope]


def assert_swappable(scope: str, cfg: dict[str, Any], name: str) -> None:
    with torch.device('meta'):
        peer, ours = build_both(scope, cfg)
    assert type(peer).__module__ == f'{scope}.models.backbones.hrnet', name
    assert type(ours).__module__ == 'hrnet_mm.models.backbone', name
    assert shapes(ours) == shapes(peer), name
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in peer.named_parameters()], name
    assert ours.init_cfg == peer.init_cfg, name
    for mode in (True, False, True):
        peer.train(mode), ours.train(mode)
        assert modes(ours) == modes(peer), name
        assert learnable(ours) == learnable(peer), name


def shapes(module: nn.Module) -> list[tuple[str, torch.Size]]:
    """Names and shapes of a state dict, in its order."""
    return [(key, value.shape) for key, value in module.state_dict().items()]


# -- real numbers ---------------------------------------------------------------------------------


def distinct_models(scope: str) -> list[dict[str, Any]]:
    """Backbone dicts that differ in more than where pretrained weights come from."""
    found: dict[str, dict[str, Any]] = {}
    for cfg in distinct_backbones(scope):
        rest = {key: value for key, value in cfg.items() if key not in ('init_cfg', 'pretrained')}
        found.setdefault(repr(rest), cfg)
    return list(found.values())


@pytest.mark.nightly
@pytest.mark.parametrize('scope', CODEBASES)
def test_outputs_with_the_peers_weights(scope):
    """Eval and train mode, and the statistics that training leaves behind, of each distinct network."""
    models = distinct_models(scope)
    assert len(models) == DISTINCT_MODELS[scope]
    x = images(size=(64, 64), dtype=torch.float32)
    for number, cfg in enumerate(models):
        peer, ours = (revert_sync_batchnorm(model) for model in build_both(scope, cfg))
        ours.load_state_dict(scramble(peer).state_dict(), strict=True)
        for training in (False, True):
            peer.train(training), ours.train(training)
            with torch.no_grad():
                assert_close(tuple(ours(x)), tuple(peer(x)), rel=1e-5, what=f'model {number}')
        assert_close(dict(ours.state_dict()), dict(peer.state_dict()), rel=1e-5, what=f'model {number}')


# -- initial weights ------------------------------------------------------------------------------


def initial_weights(scope: str, cfg: dict[str, Any]) -> dict[str, torch.Tensor]:
    with in_scope(scope):
        torch.manual_seed(5)
        model = models_of(scope).build(copy.deepcopy(cfg))
        model.init_weights()
    return dict(model.state_dict())


def assert_same_start(scope: str, cfg: dict[str, Any]) -> None:
    swapped = copy.deepcopy(cfg)
    swap(swapped)
    truth, ours = initial_weights(scope, cfg), initial_weights(scope, swapped)
    assert list(ours) == list(truth)
    assert [key for key in truth if not torch.equal(ours[key], truth[key])] == []


@pytest.mark.nightly
@pytest.mark.parametrize('scope', ['mmpose', 'mmpretrain'])
def test_one_seed_gives_the_peers_initial_weights(scope):
    """All shipped backbones that start from random weights; mmseg and mmdet ship none."""
    scratch = [cfg for cfg in distinct_backbones(scope) if not is_pretrained(cfg)]
    assert len(scratch) == {'mmpose': 2, 'mmpretrain': 7}[scope]
    for cfg in scratch:
        assert_same_start(scope, cfg)


# the names of the peers' files are ours to choose here, what trained them is nobody's to tell
@pytest.mark.filterwarnings('ignore:checkpoint .* was trained with upsample_cfg')
@pytest.mark.parametrize(
    ('scope', 'spelling'), [('mmpose', 'init_cfg'), ('mmseg', 'pretrained'), ('mmdet', 'init_cfg')]
)
def test_pretrained_weights_arrive(scope, spelling, tmp_path):
    """The shipped dict, with a file of this machine's instead of the URL."""
    weights = str(tmp_path / 'weights.pth')
    cfg = copy.deepcopy(next(cfg for cfg in distinct_backbones(scope) if is_narrow(cfg)))
    assert is_pretrained(cfg) and spelling in cfg
    if spelling == 'pretrained':
        cfg['pretrained'] = weights
    else:
        cfg['init_cfg'] = {'type': 'Pretrained', 'checkpoint': weights}
    peer, _ = build_both(scope, cfg)
    torch.save(scramble(peer).state_dict(), weights)
    assert_same_start(scope, cfg)


def is_pretrained(cfg: dict[str, Any]) -> bool:
    return cfg.get('pretrained') is not None or (cfg.get('init_cfg') or {}).get('type') == 'Pretrained'


def is_narrow(cfg: dict[str, Any]) -> bool:
    return cfg['extra']['stage4']['num_channels'][0] == 18


# -- the walk itself ------------------------------------------------------------------------------


def test_mmseg_moves_pretrained_into_the_backbone():
    """As ``hrnets_in`` assumes: a whole segmentor gives its backbone the same init_cfg."""
    cfg = load(configs_of('mmseg') / 'hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py')
    (backbone,) = hrnets_in(cfg.model)
    swap(cfg.model)
    with in_scope('mmseg'), torch.device('meta'):
        model = models_of('mmseg').build(cfg.model)
        _, alone = build_both('mmseg', backbone)
    assert model.backbone.init_cfg == alone.init_cfg
    assert alone.init_cfg == dict(type='Pretrained', checkpoint=backbone['pretrained'])
