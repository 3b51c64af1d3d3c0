from __future__ import annotations

from pathlib import Path

import pytest

from hrnet_mm.demo import generate


@pytest.fixture(scope='session')
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 12 training and 6 validation scenes."""
    root = tmp_path_factory.mktemp('synthetic') / 'data'
    generate(root, train=12, val=6, progress=False)
    return root
