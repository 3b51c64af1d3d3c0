"""The layout is told by the keys, whatever is wrapped around them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import BUILDERS, CLASSES, specimen
from torch import Tensor

from hrnet_mm.checkpoints import LAYOUTS, Checkpoint
from hrnet_mm.checkpoints.converting import convert
from hrnet_mm.checkpoints.layouts import BEFORE_NORMS
from hrnet_mm.checkpoints.reading import unwrap
from hrnet_mm.checkpoints.renaming import in_our_names, recognise, rename, to_theirs

RECOGNISED = {
    ('timm', 'classification'): 'official',
    ('hrnet_mm', 'ocr'): 'mmseg',
    ('hrnet_mm', 'keypoints'): 'mmpose',
    ('hrnet_mm', 'detection'): 'mmdet',
}


def bare(publisher: str, task: str) -> dict[str, Tensor]:
    """What the publisher writes, without what is around it; on no device, for speed."""
    state = specimen(publisher, task).content()
    state = state.get('state_dict', state)
    stripped = {
        key.removeprefix('model.'): value for key, value in state.items() if not key.startswith('loss')
    }
    return {key: torch.empty(value.shape, device='meta') for key, value in stripped.items()}


BARE = {pair: bare(*pair) for pair in BUILDERS}
SEGMENTS = st.lists(st.sampled_from(['module', 'model', 'net', 'state_dict', '_orig_mod', 'x1']), max_size=4)
CONTAINERS = st.lists(
    st.sampled_from(['state_dict', 'model', 'module', 'net', 'model_state_dict']), max_size=3
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pair=st.sampled_from(sorted(BUILDERS)), segments=SEGMENTS, containers=CONTAINERS, loss=st.booleans())
def test_any_wrapping_of_any_layout(pair, segments, containers, loss):
    prefix = ''.join(f'{segment}.' for segment in segments)
    content: Any = {f'{prefix}{key}': value for key, value in BARE[pair].items()}
    if loss and prefix:
        content['loss.criterion.weight'] = torch.empty(CLASSES, device='meta')
    for container in containers:
        content = {'epoch': 1, container: content, 'optimizer': {'state': {}}}
    found = unwrap(content, source='test')
    assert found.left == ('epoch', 'optimizer') * len(containers)
    recognised = recognise(found.state, source='test')
    assert recognised.wrapper == prefix
    plain = recognise(BARE[pair], source='test')
    assert recognised.layout is plain.layout
    assert set(in_our_names(found.state, recognised)) == set(in_our_names(BARE[pair], plain))


@pytest.mark.parametrize('pair', BUILDERS)
def test_layouts_are_recognised(pair):
    layout = recognise(BARE[pair], source='test').layout
    assert (layout.publisher, layout.task) == (RECOGNISED.get(pair, pair[0]), pair[1])


@pytest.mark.parametrize('wrapper', ['', 'backbone.', 'module.', 'module.backbone.'])
def test_bodies_alone_and_leftovers_of_converted_files(wrapper):
    body = {
        k: v for k, v in BARE['timm', 'classification'].items() if re.match('conv|bn|layer|trans|stage', k)
    }
    alone = recognise([wrapper + key for key in body], source='test')
    assert (alone.layout.task, alone.layout.upsampling) == ('body', None)
    assert all(name and name.startswith('backbone.') for name in alone.names.values())
    leftovers = [*(wrapper + key for key in body), f'{wrapper}head.0.0.0.conv1.weight']
    converted = recognise(leftovers, source='test')
    assert converted.layout.task == 'body' and converted.layout.upsampling.mode == 'nearest'
    assert converted.names[leftovers[-1]] is None


def test_necks_that_are_not_in_a_list():
    for pair in (('hrnet_mm', 'classification'), ('mmpretrain', 'classification')):
        state = {re.sub(r'^neck\.0\.', 'neck.', key): value for key, value in BARE[pair].items()}
        recognised = recognise(state, source='test')
        assert (recognised.layout.publisher, recognised.layout.task) == pair
        assert set(in_our_names(state, recognised)) == set(
            in_our_names(BARE[pair], recognise(BARE[pair], source='test'))
        )


def test_keypoint_files_of_mmpose_before_1_0():
    state = {re.sub(r'^head\.', 'keypoint_head.', k): v for k, v in BARE['mmpose', 'keypoints'].items()}
    converted = convert(Checkpoint('test', state, {}, ()), to='mmpose')
    assert set(converted.state) == set(BARE['mmpose', 'keypoints'])


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda row: f'{row.publisher}-{row.task}')
def test_the_table_is_one_to_one(layout):
    for theirs, ours in layout.names:
        assert theirs.count('*') == ours.count('*')
        key = f'{theirs.replace("*", "2")}.weight'
        renamed = rename(key, layout.names)
        assert renamed == f'{ours.replace("*", "2")}.weight'
        assert to_theirs(renamed, layout) == key


def test_every_bias_that_differs_is_in_the_table():
    """Biases that one publisher's head has and another's lacks all stand before norms that we know."""
    for task in {task for _, task in BUILDERS}:
        states = [
            set(in_our_names(s, recognise(s, source='test'))) for (_, t), s in BARE.items() if t == task
        ]
        differing = set.union(*states) - set.intersection(*states)
        heads = {key for key in differing if not key.startswith(('rpn_head', 'bbox_head', 'roi_head'))}
        assert all(rename(key, BEFORE_NORMS) and key.endswith('.bias') for key in heads), task
