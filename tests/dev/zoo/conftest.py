"""One folder with the data of the whole zoo, drawn once."""

from __future__ import annotations

from pathlib import Path

import layouts
import pytest


@pytest.fixture(scope='session')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to stand in, with `data/` as the configs expect it."""
    place = tmp_path_factory.mktemp('zoo')
    layouts.write_data(place)
    return place
