"""One network for the demo's tasks, from drawing to the table of what it costs, in two steps of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from tool_runs import in_process


@pytest.mark.nightly
def test_the_joint_demo_and_its_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tool compares the predictions of one network and of three before it counts."""
    arguments = ['--joint', '--out', tmp_path, '--train', 8, '--val', 2, '--iterations', 2]
    assert in_process('demo.py', *arguments, monkeypatch=monkeypatch) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        'pose',
        'segmentation',
        'detection',
    ]
    cost = in_process('dev/joint_cost.py', tmp_path, '--images', 1, '--rounds', 1, monkeypatch=monkeypatch)
    assert cost == 0
    rows = [line.rsplit(maxsplit=3) for line in capsys.readouterr().out.splitlines()[-3:]]
    for label, one, three, ratio in rows:
        assert float(one) < float(three) or label.startswith('milliseconds'), label
        assert abs(float(ratio) - float(one) / float(three)) < 0.01
