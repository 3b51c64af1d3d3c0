"""The layout is told by the keys, whatever is wrapped around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_files import BUILDERS, CLASSES, specimen
from torch import Tensor

from hrnet_mm.checkpoints import LAYOUTS, Checkpoint, unwrap
from hrnet_mm.checkpoints.converting import convert
from hrnet_mm.checkpoints.names import UNKNOWN, recognise, rename, to_theirs

#: Where two publishers' files have the same keys, the one that is told.
RECOGNISED = {
    ('timm', 'classification'): 'official',
    ('hrnet_mm', 'ocr'): 'mmseg',
    ('hrnet_mm', 'keypoints'): 'mmpose',
    ('hrnet_mm', 'detection'): 'mmdet',
}


def bare(publisher: str, task: str) -> dict[str, Tensor]:
    """What the publisher writes, without what is around it."""
    state = specimen(publisher, task).content()
    state = state.get('state_dict', state)
    return {key.removeprefix('model.'): value for key, value in state.items() if not key.startswith('loss')}


BARE = {pair: bare(*pair) for pair in BUILDERS}
SEGMENTS = st.lists(st.sampled_from(['module', 'model', 'net', 'state_dict', '_orig_mod', 'x1']), max_size=4)
CONTAINERS = st.lists(st.sampled_from(['state_dict', 'model', 'module', 'model_state_dict']), max_size=3)


def our_names(state: Mapping[str, Tensor]) -> set[str]:
    names = recognise(state, source='test').names.values()
    return {name for name in names if not name.startswith(UNKNOWN)}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pair=st.sampled_from(sorted(BUILDERS)), segments=SEGMENTS, containers=CONTAINERS, loss=st.booleans())
def test_any_wrapping_of_any_layout(
    pair: tuple[str, str], segments: list[str], containers: list[str], loss: bool
) -> None:
    prefix = ''.join(f'{segment}.' for segment in segments)
    content: Any = {f'{prefix}{key}': value for key, value in BARE[pair].items()}
    if loss and prefix:
        content['loss.criterion.weight'] = torch.ones(CLASSES)
    for container in containers:
        content = {'epoch': 1, container: content, 'optimizer': {'state': {}}}
    found = unwrap(content, source='test')
    assert found.left == ('epoch', 'optimizer') * len(containers)
    assert recognise(found.state, source='test').layout is recognise(BARE[pair], source='test').layout
    assert our_names(found.state) == our_names(BARE[pair])


def test_layouts_are_recognised() -> None:
    for (publisher, task), state in BARE.items():
        layout = recognise(state, source='test').layout
        assert (layout.publishers[0], layout.task) == (RECOGNISED.get((publisher, task), publisher), task)


@pytest.mark.parametrize('wrapper', ['', 'module.backbone.'])
def test_bodies_alone_and_leftovers_of_converted_files(wrapper: str) -> None:
    keys = BARE['timm', 'classification']
    body = [f'{wrapper}{key}' for key in keys if re.match('conv|bn|layer|trans|stage', key)]
    alone = recognise(body, source='test')
    assert (alone.layout.task, alone.layout.upsampling) == ('body', None)
    assert all(name.startswith('backbone.') for name in alone.names.values())
    leftover = f'{wrapper}head.0.0.0.conv1.weight'
    converted = recognise([*body, leftover], source='test')
    assert converted.layout.task == 'body'
    assert converted.layout.upsampling is not None and converted.layout.upsampling.mode == 'nearest'
    assert converted.names[leftover] == UNKNOWN + leftover


def test_necks_that_are_not_in_a_list_and_mmpose_before_1_0() -> None:
    for publisher in ('hrnet_mm', 'mmpretrain'):
        listed = BARE[publisher, 'classification']
        state = {re.sub(r'^neck\.0\.', 'neck.', key): value for key, value in listed.items()}
        layout = recognise(state, source='test').layout
        assert (layout.publishers[0], layout.task) == (publisher, 'classification')
        assert our_names(state) == our_names(listed)
    pose = BARE['mmpose', 'keypoints']
    state = {re.sub(r'^head\.', 'keypoint_head.', key): value for key, value in pose.items()}
    assert set(convert(Checkpoint('test', state, {}, ()), to='mmpose').state) == set(pose)


def test_the_table_leads_there_and_back() -> None:
    for layout in LAYOUTS:
        for theirs, ours in layout.names.items():
            assert rename(f'{theirs}.weight', layout.names) == f'{ours}.weight'
            back = to_theirs(f'{ours}.weight', layout)
            assert back is not None and rename(back, layout.names) == f'{ours}.weight'
            assert back == f'{theirs}.weight' or theirs.startswith('neck.')  # a neck that stood alone
    rows = {(name, row.task) for row in LAYOUTS for name in row.publishers if row.task != 'body'}
    assert rows == set(BUILDERS)
