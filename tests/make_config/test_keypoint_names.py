"""Which keypoints change places in a mirror, by their names."""

from __future__ import annotations

import pytest

from hrnet_mm.make_config.keypoints import mirrored_pairs


@pytest.mark.parametrize(
    ('names', 'pairs'),
    [
        (['nose', 'left_eye', 'right_eye'], {'left_eye': 'right_eye', 'right_eye': 'left_eye'}),
        (['LeftEye', 'RightEye'], {'LeftEye': 'RightEye', 'RightEye': 'LeftEye'}),
        (['L_Eye', 'R_Eye'], {'L_Eye': 'R_Eye', 'R_Eye': 'L_Eye'}),
        (['eye-l', 'eye-r'], {'eye-l': 'eye-r', 'eye-r': 'eye-l'}),
        (['kneeL', 'kneeR'], {'kneeL': 'kneeR', 'kneeR': 'kneeL'}),
        (['left_only', 'tail', 'bright_spot'], {}),
    ],
)
def test_pairs(names: list[str], pairs: dict[str, str]) -> None:
    assert mirrored_pairs(names) == pairs
