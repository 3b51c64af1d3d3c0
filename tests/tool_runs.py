"""The command-line tools, run in the process of the tests, which has torch already; and fresh processes."""

from __future__ import annotations

import runpy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mmengine.visualization import Visualizer

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def in_process(script: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run ``tools/<script>`` with these arguments; gives its exit code."""
    forget_visualizers(Visualizer)
    tool = str(TOOLS / script)
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    try:
        runpy.run_path(tool, run_name='__main__')
    except SystemExit as end:
        return end.code
    return 0


def forget_visualizers(kind: type[Visualizer]) -> None:
    """As a new process would: a visualizer is found again by its name, and writes where it first did."""
    kind._instance_dict.clear()
    for special in kind.__subclasses__():
        forget_visualizers(special)


def run_fresh(code: str, *arguments: object) -> str:
    """What Python code prints in a new interpreter, which has imported nothing yet."""
    command = [sys.executable, '-c', textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
