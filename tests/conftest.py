"""Shared by all tests: one thread, a fixed seed, and no MMEngine scope left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine.config.config
import pytest
import torch
from mmengine.logging import MMLogger

# so that `peers` is found under every import mode of pytest
sys.path.insert(0, str(Path(__file__).parent))
from clean_environment import build_wheel, clean_environment
from peers import scopes_as_before

# the tests' networks are tiny: several threads would only wait for each other, also in what tests start
torch.set_num_threads(1)
os.environ['OMP_NUM_THREADS'] = '1'

# init_weights() reports every single parameter
MMLogger.get_instance('mmengine', log_level='WARNING')

_format_code = mmengine.config.config.FormatCode
_formatted: dict[str, Any] = {}


def _format_once(text: str, **how: Any) -> Any:
    """MMEngine formats a config nine times in a short run, a third of its time."""
    if text not in _formatted:
        if len(_formatted) > 32:
            _formatted.clear()
        _formatted[text] = _format_code(text, **how)
    return _formatted[text]


mmengine.config.config.FormatCode = _format_once


@pytest.fixture(autouse=True)
def fixed_seed():
    """The same random numbers in a test whether it runs alone or among others."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def scope_as_before():
    """Forget scopes a test entered for good (a Runner does), because defaults follow the scope."""
    with scopes_as_before():
        yield


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(own_folder: Path) -> Callable[[str], Path]:
    """Writes a scope's data and config; gives the config. The data lie beside it in ``data``."""
    import tiny_projects

    import hrnet_mm  # noqa: F401  registers everything, as the tools do

    def write(scope: str) -> Path:
        write_data, config_text = tiny_projects.WRITERS[scope]
        write_data(own_folder / 'data')
        config = own_folder / f'tiny_{scope}.py'
        config.write_text(config_text(own_folder / 'data'))
        return config

    return write


@pytest.fixture(scope='session')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    return build_wheel(tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='session')
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and without the checkout."""
    return clean_environment(tmp_path_factory.mktemp('elsewhere'), wheel)
