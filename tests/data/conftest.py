from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config

from hrnet_mm.config import load_config


@pytest.fixture
def project(project: Callable[[str], Path]) -> Callable[[str], Config]:
    """Writes a scope's sound data to ``data`` and gives the config, in a folder of its own."""
    return lambda scope: load_config(project(scope), options={'train_cfg.max_epochs': 1})
