"""Optimiser settings after the backbone has changed."""

from __future__ import annotations

from mmengine.config import Config

from hrnet_mm.swap.optimizer import adapt_optimizer, names_layers

OLD = ['backbone.stages.0.norm.weight', 'backbone.absolute_pos_embed', 'backbone.conv1.weight']
NEW = ['backbone.conv1.weight', 'backbone.bn1.weight', 'decode_head.norm.weight', 'query_embed.weight']


def _cfg(**paramwise: object) -> Config:
    return Config({'optim_wrapper': {'type': 'OptimWrapper', 'constructor': 'X', 'paramwise_cfg': paramwise}})


def test_keys_of_the_old_backbone_alone_go() -> None:
    keys = ['backbone', 'backbone.stages', 'absolute_pos_embed', 'norm', 'query_embed', 'never_there']
    cfg = _cfg(custom_keys={key: {'lr_mult': 0.1} for key in keys}, norm_decay_mult=0.0)
    adapt_optimizer(cfg, before=OLD, after=NEW)
    wrapper = cfg.optim_wrapper
    assert list(wrapper.paramwise_cfg.custom_keys) == ['backbone', 'norm', 'query_embed']
    assert wrapper.paramwise_cfg.norm_decay_mult == 0.0
    assert wrapper.constructor == 'X'


def test_a_key_that_never_named_anything_is_no_reason_to_rewrite() -> None:
    cfg = _cfg(custom_keys={'backbone': {}, 'never_there': {}})
    adapt_optimizer(cfg, before=OLD, after=NEW)
    assert list(cfg.optim_wrapper.paramwise_cfg.custom_keys) == ['backbone', 'never_there']


def test_layer_decay_goes_with_its_constructor() -> None:
    cfg = _cfg(decay_rate=0.9, decay_type='layer_wise', num_layers=12, bias_decay_mult=0.0)
    adapt_optimizer(cfg, before=OLD, after=NEW)
    assert cfg.optim_wrapper.constructor == 'DefaultOptimWrapperConstructor'
    assert cfg.optim_wrapper.paramwise_cfg == {'bias_decay_mult': 0.0}


def test_plain_optimisers_are_left_alone() -> None:
    for cfg in (Config({}), Config({'optim_wrapper': {'type': 'OptimWrapper'}}), _cfg()):
        before = cfg.to_dict()
        assert not names_layers(cfg)
        adapt_optimizer(cfg, before=OLD, after=NEW)
        assert cfg.to_dict() == before
