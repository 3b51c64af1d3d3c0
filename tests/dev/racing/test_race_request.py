"""What is asked for, and refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tool_runs import in_process

from hrnet_mm.config.errors import ConfigError


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(only=('SegNet', 'ResNet')), "--only = 'ResNet': expected one of HRNetV2, HRNetV2+OCR, SegNet"),
        (dict(width='w48'), "--width = 'w48': expected one of small, full"),
        (dict(iterations=0), '--budget-iters = 0: expected 1 or more'),
        (dict(amp=True), '--amp = True: expected --device cuda with it'),
        (dict(minutes=-1.0), '--budget-minutes = -1.0: expected more than 0'),
        (dict(data=Path('nowhere')), "--data = 'nowhere': expected a folder of data"),
        pytest.param(
            dict(device='cuda'),
            "--device = 'cuda': expected cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU here'),
        ),
    ],
)
def test_a_wrong_value_is_named(make_race, given, message):
    with pytest.raises(ConfigError) as caught:
        make_race('segmentation', **given)
    assert str(caught.value).startswith(message)


def test_classification_has_no_ablation(make_race):
    with pytest.raises(ConfigError, match='expected one of segmentation, pose, detection for --ablation'):
        make_race('classification', ablation=True)


def test_networks_are_picked_by_name(make_race):
    race = make_race('pose', only=('Hourglass', 'HRNetV1'))
    assert [each.name for each in race.entrants] == ['HRNetV1', 'Hourglass']
    assert [each.name for each in make_race('detection', ablation=True).entrants] == ['HRNetV2p', 'HRNetV1']


def test_the_tool_ends_in_one_line(drawn, monkeypatch, capsys):
    arguments = ('segment', '--data', drawn)
    assert in_process('dev/relatives.py', *arguments, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        "error: TASK = 'segment': expected one of segmentation, pose, detection, classification\n"
    )
