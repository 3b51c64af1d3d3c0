"""What all tools share: one line for a mistake, the traceback where it is wanted, no noise at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tool_runs import TOOLS, in_process

from hrnet_mm.config.errors import ConfigError, DataError
from hrnet_mm.training.command_line import end_in_one_line, run_tool
from hrnet_mm.training.processes import LostProcess

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
BASE = TOOLS.parent / 'configs' / 'hrnetv2_w18_small_v1_synthetic.py'
CONFIG = f"""
_base_ = '{BASE}'
custom_imports = dict(imports=['hrnet_mm', 'my_head'])
model = dict(decode_head=dict(_delete_=True, type='MyHead'))
"""


@pytest.mark.filterwarnings('ignore')
def test_a_bug_in_a_head_of_ones_own_keeps_its_traceback(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path('my_head.py').write_text(HEAD)
    Path('mine.py').write_text(CONFIG)
    monkeypatch.syspath_prepend(own_folder)
    monkeypatch.delitem(sys.modules, 'my_head', raising=False)
    with pytest.raises(TypeError) as caught:
        in_process('complexity.py', 'mine.py', monkeypatch=monkeypatch)
    assert [(Path(entry.path).name, entry.lineno + 1) for entry in caught.traceback][-1] == ('my_head.py', 10)


@pytest.mark.filterwarnings('ignore')
def test_the_traceback_of_a_mistake_is_shown_where_it_is_asked_for(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path('mine.py').write_text(f"_base_ = '{BASE}'\nmodel = dict(backbone=dict(arch='w99'))\n")
    monkeypatch.setenv('HRNET_MM_TRACEBACK', '0')
    arguments = ('complexity.py', 'mine.py')
    assert in_process(*arguments, monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "(ValueError: arch='w99': expected one of" in line
    assert in_process(*arguments, '--traceback', monkeypatch=monkeypatch) == 2
    shown = capsys.readouterr().err
    assert 'in resolve_arch' in shown and shown.endswith(f'{line}\n')
    monkeypatch.setenv('HRNET_MM_TRACEBACK', '1')
    assert in_process(*arguments, monkeypatch=monkeypatch) == 2
    assert 'in resolve_arch' in capsys.readouterr().err


def test_ctrl_c_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_tool(main)
    assert (end.value.code, capsys.readouterr().err) == (130, 'error: stopped by Ctrl-C\n')


@pytest.mark.parametrize(
    ('error', 'place', 'said'),
    [
        (ConfigError('a', 1, 'b'), {'LOCAL_RANK': '0', 'SLURM_LOCALID': '0'}, 1),
        (ConfigError('a', 1, 'b'), {'LOCAL_RANK': '1'}, 0),
        (ConfigError('a', 1, 'b'), {'SLURM_LOCALID': '1'}, 0),
        (DataError('one sample'), {'LOCAL_RANK': '1'}, 1),
        (LostProcess('lost'), {'LOCAL_RANK': '1'}, 1),
    ],
)
def test_what_all_processes_meet_is_said_by_the_first_of_a_machine(
    error: Exception,
    place: dict[str, str],
    said: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ('LOCAL_RANK', 'SLURM_LOCALID'):
        monkeypatch.delenv(name, raising=False)
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        end_in_one_line(error)
    assert capsys.readouterr().err.count('error: ') == said


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
