"""Small networks of all four tasks, written once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope='session')
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Task -> config and checkpoint of a small network for it."""
    from small_networks import write_network  # needs all four packages

    folder = tmp_path_factory.mktemp('networks')
    return cache(lambda task: write_network(task, folder))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with ``photos/``: two images of one name, another, and one of another size."""
    from small_networks import write_scene

    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(('a.jpg', 'north/a.jpg', 'south/b.png')):
        write_scene(Path('photos', name), seed=seed)
    write_scene(Path('photos/north/tall.jpg'), seed=3, size=(160, 96))
    return tmp_path
