"""Any architecture at all: it is built and learns, or the error names the field that is wrong."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from peers import TINY, objective, tiny
from test_arch import broken, extras

from hrnet_mm import HRNetBackbone

KEYS = ('num_modules', 'num_branches', 'block', 'num_blocks', 'num_channels')
HUGE = (2**31, 2**63, 10**30, -(10**30))
UNPRINTABLE = (10**5000, -(10**5000))  # Python refuses to write them out
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

numbers = st.integers(-3, 9) | st.integers() | st.sampled_from(HUGE)
scalars = numbers | st.none() | st.booleans() | st.floats() | st.text(max_size=6) | st.binary(max_size=4)
#: Of any type: what a config could hold, and what it could not.
anything = st.recursive(
    scalars | st.sampled_from(['BASIC', 'BOTTLENECK', torch.ones(2), object(), int, range(2), 3j]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


def sensible(extra: dict[str, Any]) -> bool:
    """Whether numbers are small enough to build a network of them, be they right or wrong."""
    found = [
        item for stage in extra.values() if isinstance(stage, dict) for item in _numbers(list(stage.values()))
    ]
    return all(abs(item) <= 9 or item > 2**14 for item in found)


def _numbers(node: Any) -> list[int]:
    if isinstance(node, (list, tuple)):
        return [number for item in node for number in _numbers(item)]
    return [node] if isinstance(node, int) else []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), extra=extras(), size=st.tuples(st.integers(33, 80), st.integers(33, 80)))
def test_a_valid_one_learns(data: st.DataObject, extra: dict[str, Any], size: tuple[int, int]) -> None:
    """At any size, with any choice of outputs: shapes as promised, and finite gradients."""
    streams = extra['stage4']['num_branches']
    wanted = sorted(data.draw(st.sets(st.integers(0, streams - 1), min_size=1)))
    fusions = tuple(data.draw(st.integers(0, extra[f'stage{n}']['num_modules'])) for n in (2, 3, 4))
    model = HRNetBackbone(extra=extra, out_indices=wanted, fusions=fusions)
    model.init_weights()
    outputs = model(torch.randn(2, 3, *size))
    assert [tuple(y.shape[:2]) for y in outputs] == [(2, channels) for channels in model.out_channels]
    for index, y in zip(wanted, outputs, strict=True):
        assert tuple(y.shape[2:]) == tuple(-(-side // (4 * 2**index)) for side in size)
    objective(outputs).backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    if fusions == tuple(extra[f'stage{n}']['num_modules'] for n in (2, 3, 4)):
        assert all(gradient is not None for gradient in gradients.values())
    assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)


@QUICK
@given(stage=st.sampled_from(list(TINY)), key=st.sampled_from(KEYS), value=anything)
@example(stage='stage2', key='num_channels', value=(4, 2**40))
@example(stage='stage2', key='num_blocks', value=b'\x01\x02')
@example(stage='stage3', key='block', value=torch.ones(2))
@example(stage='stage4', key='num_branches', value=10**9)
def test_one_wrong_field_is_named(stage: str, key: str, value: Any) -> None:
    extra = broken(stage, key, value)
    if not sensible(extra):
        return
    try:
        with torch.device('meta'):
            HRNetBackbone(extra=extra)
    except ValueError as error:
        # a right number of streams makes the lists beside it wrong, and their growth
        fields = rf'extra\.{stage}\.|extra has num_branches=\['
        assert re.match(fields, str(error)), error


@QUICK
@given(value=anything, stage=st.sampled_from([None, *TINY]))
def test_what_is_no_stage_is_named(value: Any, stage: str | None) -> None:
    """The whole architecture, or a stage of it, is anything but that."""
    extra = value if stage is None else {**copy.deepcopy(TINY), stage: value}
    if extra is None:
        return  # left out
    with pytest.raises(ValueError, match=r'^(arch=|extra lacks stage|extra\.stage\d)'):
        HRNetBackbone(extra=extra)


@QUICK
@given(
    name=st.sampled_from(['in_channels', 'frozen_stages', 'out_indices', 'fusions', 'with_cp', 'precision']),
    value=anything,
)
@example(name='in_channels', value=2**40)
@example(name='out_indices', value=torch.ones(2))
@example(name='precision', value=torch.ones(2))
@example(name='with_cp', value=torch.ones(2))
def test_one_wrong_argument_is_named(name: str, value: Any) -> None:
    try:
        with torch.device('meta'):
            HRNetBackbone(extra=tiny(), **{name: value})
    except ValueError as error:
        assert str(error).startswith(f'{name}='), error


@pytest.mark.parametrize('value', UNPRINTABLE, ids=['positive', 'negative'])
def test_a_number_too_long_to_be_shown_is_named(value: int) -> None:
    for key in ('num_modules', 'num_branches'):
        with pytest.raises(ValueError, match=rf'^extra\.stage3\.{key}=int of thousands of digits'):
            HRNetBackbone(extra=broken('stage3', key, value))
    with pytest.raises(ValueError, match=r'^extra\.stage1\.num_channels=int of thousands of digits'):
        HRNetBackbone(extra=broken('stage1', 'num_channels', [value]))
    for name in ('in_channels', 'frozen_stages'):
        with pytest.raises(ValueError, match=f'^{name}=int of thousands of digits'):
            HRNetBackbone(extra=tiny(), **{name: value})
    for name in ('out_indices', 'fusions', 'with_cp'):
        with pytest.raises(ValueError, match=f'^{name}=list of thousands of digits'):
            HRNetBackbone(extra=tiny(), **{name: [value]})
