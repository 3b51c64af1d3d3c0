"""The tool as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from tool_runs import in_process

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'swap_backbone.py'
RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
DETECTRON = 'mmdet::misc/d2_faster-rcnn_r50-caffe_fpn_ms-90k_coco.py'


@pytest.mark.nightly
def test_swaps_proves_and_writes(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), RCNN, '--arch', 'w18_small_v1', '--necks', 'hrfpn']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.iterdir()
    assert written.name == 'faster-rcnn_r50_fpn_1x_coco_hrnet_w18_small_v1.py'
    lines = done.stdout.splitlines()
    assert lines[-1] == f'written: {written.name}'
    assert [line for line in lines if line.startswith('- model.backbone ')] != []
    assert [line for line in lines if line.startswith('+ model.neck ') and 'hrnet_mm.HRFPN(' in line] != []
    model = Config.fromfile(written).model
    assert (model.backbone.type, model.backbone.arch) == ('HRNetBackbone', 'w18_small_v1')


def test_refuses_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_process('swap_backbone.py', DETECTRON, '--arch', 'w32', monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('refused: model.type: a model of detectron2')
    assert line.endswith('; nothing was written')
    assert list(tmp_path.iterdir()) == []
