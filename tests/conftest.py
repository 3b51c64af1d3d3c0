"""Shared by all tests: one thread, a fixed seed, and no MMEngine scope left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

# so that `peers` is found under every import mode of pytest
sys.path.insert(0, str(Path(__file__).parent))

# the tests' networks are tiny: several threads would only wait for each other
torch.set_num_threads(1)

# init_weights() reports every single parameter
MMLogger.get_instance('mmengine', log_level='WARNING')


@pytest.fixture(autouse=True)
def fixed_seed():
    """The same random numbers in a test whether it runs alone or among others."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def scope_as_before():
    """Forget scopes a test entered for good (a Runner does), because defaults follow the scope."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
