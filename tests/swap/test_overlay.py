"""An overlay merged by MMEngine gives what was wanted, whatever the configs are; its text says the same."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from hrnet_mm.swap.overlay import config_text, overlay, same, summarise

_KEYS = st.sampled_from(['type', 'a', 'b', 'c', 'layer.0', 'class'])
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.floats(allow_nan=False), st.text(max_size=3)
)


def _values(depth: int) -> st.SearchStrategy[Any]:
    if depth == 0:
        return _SCALARS
    inner = _values(depth - 1)
    lists = st.lists(inner, max_size=2)
    return st.one_of(_SCALARS, lists, lists.map(tuple), st.dictionaries(_KEYS, inner, max_size=4))


_CONFIGS = st.dictionaries(st.sampled_from(['model', 'load_from', 'a']), _values(4), max_size=3)


@settings(max_examples=200, deadline=None)
@given(old=_CONFIGS, new=_CONFIGS)
def test_merging_gives_what_was_wanted(old: dict[str, Any], new: dict[str, Any]) -> None:
    new = {**dict.fromkeys(old), **new}
    before = copy.deepcopy((old, new))
    heir = ConfigDict(copy.deepcopy(overlay(old, new)))
    # MMEngine's own merge of a file over its base
    merged = Config._merge_a_into_b(heir, ConfigDict(copy.deepcopy(old))).to_dict()
    assert same(merged, new)
    assert same((old, new), before)
    assert overlay(new, new) == {}


@settings(max_examples=60, deadline=None)
@given(cfg=_CONFIGS)
def test_text_says_the_same(cfg: dict[str, Any]) -> None:
    said: dict[str, Any] = {}
    exec(config_text('base.py', cfg), said)
    assert same({key: said[key] for key in cfg}, cfg)
    assert said['_base_'] == 'base.py'


@pytest.mark.parametrize(
    ('old', 'new', 'heir'),
    [
        ({'type': 'ResNet', 'depth': 50}, {'type': 'HRNet'}, {'_delete_': True, 'type': 'HRNet'}),
        ({'type': 'ResNet', 'depth': 50}, {'type': 'ResNet'}, {'_delete_': True, 'type': 'ResNet'}),
        ({'a': 1, 'b': (1,)}, {'a': True, 'b': [1]}, {'a': True, 'b': [1]}),
    ],
    ids=['another type', 'a lost key', 'types count'],
)
def test_what_is_written_of_a_change(old: Any, new: Any, heir: Any) -> None:
    assert overlay({'model': old}, {'model': new}) == {'model': heir}


def test_text_reads_as_a_person_would_write_it() -> None:
    changes = {
        'default_hooks': {'weights': {'type': 'HRNetWeightsHook'}},
        'load_from': None,
        'model': {
            'decode_head': [{'in_index': (0,)}, {'sampler': {'backbone.norm': float('inf')}}],
            'neck': {'_delete_': True, 'type': 'hrnet_mm.HRFPN', 'in_channels': [32, 64, 128, 256]},
            'backbone': {
                '_delete_': True,
                'type': 'HRNetBackbone',
                'arch': 'w32',
                'init_cfg': {'type': 'Pretrained', 'checkpoint': 'open-mmlab://msra/hrnetv2_w32'},
            },
        },
        'custom_imports': {'imports': ['hrnet_mm']},
    }
    assert config_text('mmdet::a.py', changes).splitlines() == [
        "_base_ = 'mmdet::a.py'",
        "custom_imports = dict(imports=['hrnet_mm'])",
        'model = dict(',
        '    backbone=dict(',
        '        _delete_=True,',
        "        type='HRNetBackbone',",
        "        arch='w32',",
        "        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32')",
        '    ),',
        "    neck=dict(_delete_=True, type='hrnet_mm.HRFPN', in_channels=[32, 64, 128, 256]),",
        "    decode_head=[dict(in_index=(0, )), dict(sampler={'backbone.norm': float('inf')})]",
        ')',
        'load_from = None',
        "default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's "
        'layout',
    ]


def test_summary_is_an_aligned_diff() -> None:
    resnet = {'type': 'ResNet', 'style': 'caffe', 'depth': 50}
    old = {
        'model': {'backbone': resnet, 'neck': [{'type': 'FPN', 'in': [1, 2]}, {'type': 'PAN'}]},
        'optim_wrapper': {'paramwise_cfg': {'num_layers': 12, 'layer_decay_rate': 0.75}},
    }
    new = {
        'model': {
            'backbone': {'type': 'HRNetBackbone', 'arch': 'w32', 'norm_cfg': {'type': 'BN'}},
            'neck': [{'type': 'FPN', 'in': [3]}, {'type': 'PAN'}],
        },
        'optim_wrapper': {'paramwise_cfg': {'num_layers': 12}},
        'a': list(range(100)),
    }
    *lines, long = summarise(old, new).splitlines()
    assert [line.split(maxsplit=2) for line in lines] == [
        ['-', 'model.backbone', "ResNet(style='caffe', depth=50)"],
        ['+', 'model.backbone', "HRNetBackbone(arch='w32', norm_cfg=BN)"],
        ['-', 'model.neck.0.in', '[1, 2]'],
        ['+', 'model.neck.0.in', '[3]'],
        ['-', 'optim_wrapper.paramwise_cfg.layer_decay_rate', '0.75'],
    ]
    # one key of many dots does not squeeze the other values out of sight
    assert {line.index(line.split(maxsplit=2)[2]) for line in (*lines[:4], long)} == {44}
    assert len(long) == 110
    assert long.endswith('…')
