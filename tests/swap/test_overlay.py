"""An overlay merged by MMEngine gives what was wanted, whatever the two configs are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from hrnet_mm.swap.config_text import config_text
from hrnet_mm.swap.overlay import OverlayError, overlay, same

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


def _configs() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(['model', 'load_from', 'a']), _values(4), max_size=3)


def _merged(old: dict[str, Any], heir: dict[str, Any]) -> dict[str, Any]:
    """MMEngine's own merge of a file over its base."""
    return Config._merge_a_into_b(ConfigDict(copy.deepcopy(heir)), ConfigDict(copy.deepcopy(old))).to_dict()


@settings(max_examples=300, deadline=None)
@given(old=_configs(), new=_configs())
def test_merging_gives_what_was_wanted(old: dict[str, Any], new: dict[str, Any]) -> None:
    new = {**dict.fromkeys(old), **new}
    before = copy.deepcopy((old, new))
    heir = overlay(old, new)
    assert same(_merged(old, heir), new)
    assert same((old, new), before)


@settings(max_examples=100, deadline=None)
@given(cfg=_configs())
def test_equal_configs_leave_nothing_to_say(cfg: dict[str, Any]) -> None:
    assert overlay(cfg, cfg) == {}


@settings(max_examples=200, deadline=None)
@given(cfg=_configs())
def test_text_says_the_same(cfg: dict[str, Any]) -> None:
    said: dict[str, Any] = {}
    exec(config_text('base.py', cfg), said)
    assert same({key: said[key] for key in cfg}, cfg)
    assert said['_base_'] == 'base.py'


def test_only_what_differs_is_said() -> None:
    old = {'model': {'type': 'A', 'neck': {'type': 'FPN', 'in': [1, 2], 'out': 3}, 'head': {'x': 1}}, 'lr': 1}
    new = copy.deepcopy(old)
    new['model']['neck']['in'] = [4, 2]
    assert overlay(old, new) == {'model': {'neck': {'in': [4, 2]}}}


@pytest.mark.parametrize('after', [{'type': 'HRNet', 'depth': 50}, {'type': 'ResNet'}])
def test_another_type_or_a_lost_key_replaces_the_dict(after: dict[str, Any]) -> None:
    heir = overlay({'model': {'backbone': {'type': 'ResNet', 'depth': 50}}}, {'model': {'backbone': after}})
    assert heir == {'model': {'backbone': {'_delete_': True, **after}}}


def test_types_count() -> None:
    assert overlay({'a': 1, 'b': (1,)}, {'a': True, 'b': [1]}) == {'a': True, 'b': [1]}


def test_a_top_level_key_cannot_vanish() -> None:
    with pytest.raises(OverlayError, match='load_from'):
        overlay({'load_from': 'x'}, {})
