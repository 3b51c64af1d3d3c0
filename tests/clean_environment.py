"""An environment as a user has it: our wheel beside the OpenMMLab packages, and no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(folder: Path) -> Path:
    """The project's wheel, in a folder."""
    command = [sys.executable, '-m', 'pip', 'wheel', '.', '--no-deps', '--no-build-isolation']
    subprocess.run([*command, '--quiet', '--wheel-dir', folder], cwd=ROOT, check=True)
    (path,) = folder.glob('*.whl')
    return path


def clean_environment(folder: Path, wheel: Path) -> Path:
    """Make a virtual environment with the wheel; gives its interpreter.

    Everything else comes from the environment of the tests, by one line of a ``.pth`` file: Python reads no
    such files in a folder that it was led to by one, so that the tests' own installation of the checkout,
    which is one of them, stays out.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / 'bin' / 'python'
    pip = [sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-deps', '--no-index']
    subprocess.run([*pip, wheel], check=True)
    (site,) = folder.glob('lib/python*/site-packages')
    (site / 'others.pth').write_text(sysconfig.get_path('purelib'))
    return python


def run_there(python: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python in a folder; nothing of the tests' own paths is left."""
    env = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PYTHONHOME')}
    command = [python, '-W', 'ignore', *arguments]
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, check=False, capture_output=True, text=True
    )
