"""The command-line tools, run in the process of the tests, which has torch already."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / 'tools'


def in_process(script: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run ``tools/<script>`` with these arguments; gives its exit code."""
    tool = str(TOOLS / script)
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    try:
        runpy.run_path(tool, run_name='__main__')
    except SystemExit as end:
        return end.code
    return 0
