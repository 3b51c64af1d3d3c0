"""The two commands as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_projects as tiny

ROOT = Path(__file__).resolve().parents[2]


def run_tool(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), str(ROOT / 'tests'), os.environ.get('PYTHONPATH', '')]
    command = [sys.executable, str(ROOT / 'tools' / name), *map(str, arguments)]
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.nightly
def test_train_then_test(tmp_path: Path) -> None:
    """The data are elsewhere than the config says; the results are the ones known beforehand."""
    tiny.write_masks(tmp_path / 'mine')
    config = tmp_path / 'tiny_seg.py'
    config.write_text(tiny.segmentation_config(tmp_path / 'theirs'))
    common = ('--data-root', 'mine', '--cfg-options', 'train_cfg.max_epochs=1')

    trained = run_tool('train.py', config, *common, 'log_level=ERROR', cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    checkpoint = tmp_path / 'work_dirs/tiny_seg/epoch_1.pth'
    assert trained.stdout.splitlines()[-1] == f'last checkpoint: {checkpoint}'
    assert checkpoint.is_file()

    out, show = tmp_path / 'new/metrics.json', tmp_path / 'show'
    extra = ('--out', out, '--show-dir', show, '--work-dir', 'tested')
    tested = run_tool('test.py', config, checkpoint, *extra, *common, cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    record = json.loads(out.read_text())
    assert (record['config'], record['checkpoint']) == (str(config), str(checkpoint))
    assert record['metrics']['mIoU'] == 100.0
    table = [line.split() for line in tested.stdout.splitlines()]
    assert ['metric', 'value'] in table and ['mIoU', '100.0000'] in table
    assert len(list(show.rglob('*.jpg'))) == 3
    assert (tmp_path / 'tested').is_dir()

    refused = run_tool('test.py', config, 'gone.pth', *common, cwd=tmp_path)
    assert refused.returncode == 2
    assert 'Traceback' not in refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("error: checkpoint = 'gone.pth': expected")
