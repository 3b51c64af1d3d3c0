"""What is asked for, and refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusal import refuses


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(only=('SegNet', 'ResNet')), "--only = 'ResNet': expected one of HRNetV2, HRNetV2+OCR, SegNet"),
        (dict(iterations=0), '--budget-iters = 0: expected 1 or more'),
        (dict(data=Path('nowhere')), "--data = 'nowhere': expected a folder of data"),
    ],
)
def test_a_wrong_value_is_named(make_race, given, message):
    refuses(lambda: make_race('segmentation', **given), message)


def test_networks_are_picked_by_name(make_race):
    race = make_race('pose', only=('Hourglass', 'HRNetV1'))
    assert [each.name for each in race.entrants] == ['HRNetV1', 'Hourglass']
    assert [each.name for each in make_race('detection', ablation=True).entrants] == ['HRNetV2p', 'HRNetV1']
