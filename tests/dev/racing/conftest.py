"""A few small drawn scenes for races of seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from racing.request import Race

from hrnet_mm.demo import generate


@pytest.fixture(scope='session')
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn data of 8 + 2 scenes."""
    root = tmp_path_factory.mktemp('drawn')
    generate(root, train=8, val=2, progress=False)
    return root


@pytest.fixture
def make_race(drawn: Path, tmp_path: Path) -> Callable[..., Race]:
    """A race on drawn data, two steps long unless told otherwise."""

    def make(task: str, **given: Any) -> Race:
        return Race(**{'task': task, 'data': drawn, 'out': tmp_path / 'race', 'iterations': 2, **given})

    return make
