"""What all tools share: one line for a mistake, the traceback where it is wanted, no noise at the start."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from tool_runs import TOOLS, in_process

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.training.command_line import run_tool

HEAD = """
from mmengine.registry import MODELS
from torch import nn

@MODELS.register_module()
class MyHead(nn.Module):
    def __init__(self, **_):
        super().__init__()
        self.names = None
        self.count = len(self.names)
"""
CONFIG = f"""
_base_ = '{TOOLS.parent}/configs/hrnetv2_w18_small_v1_synthetic.py'
custom_imports = dict(imports=['hrnet_mm', 'my_head'])
model = dict(decode_head=dict(_delete_=True, type='MyHead'))
"""


@pytest.mark.filterwarnings('ignore')
def test_a_bug_in_a_head_is_found_by_its_line(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path('my_head.py').write_text(HEAD)
    Path('mine.py').write_text(CONFIG)
    monkeypatch.syspath_prepend(own_folder)
    monkeypatch.delitem(sys.modules, 'my_head', raising=False)
    monkeypatch.setenv('HRNET_MM_TRACEBACK', '0')
    arguments = ('complexity.py', 'mine.py')
    assert in_process(*arguments, monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "TypeError: object of type 'NoneType' has no len() at my_head.py:10" in line
    assert in_process(*arguments, '--traceback', monkeypatch=monkeypatch) == 2
    traceback = capsys.readouterr().err
    assert 'my_head.py", line 10, in __init__' in traceback and traceback.endswith(f'{line}\n')
    monkeypatch.setenv('HRNET_MM_TRACEBACK', '1')
    assert in_process(*arguments, monkeypatch=monkeypatch) == 2
    assert 'my_head.py", line 10, in __init__' in capsys.readouterr().err


def test_bugs_of_ours_keep_their_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_tool(main)


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_tool(main)
    assert (end.value.code, capsys.readouterr().err) == (130, 'error: stopped by Ctrl-C\n')


def test_the_config_error_travels_between_processes() -> None:
    error = ConfigError(key='a', value=(1, 2), expected='b')
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.value) == ('a = (1, 2): expected b', (1, 2))


@pytest.mark.nightly
def test_a_start_says_nothing_of_others_deprecations(own_folder: Path) -> None:
    """The error is the only line, in a process of its own and in one that it starts."""
    config = TOOLS.parent / 'configs' / 'hrnetv2p_w18_faster_rcnn_coco_1x.py'
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONWARNINGS'}
    command = [sys.executable, TOOLS / 'train.py', config]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: train_dataloader.dataset.data_root = ')
    code = (
        'import subprocess, sys; from hrnet_mm.training.command_line import run_tool; '
        "run_tool(lambda: subprocess.run([sys.executable, '-c', 'import pkg_resources'], check=True))"
    )
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ''
