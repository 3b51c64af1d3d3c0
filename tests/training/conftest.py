from __future__ import annotations

from importlib import import_module

import pytest


@pytest.fixture(scope='module')
def packages() -> None:
    """Imported before processes are forked, which then need not do it each."""
    for scope in ('mmpose', 'mmseg', 'mmdet'):
        import_module(f'{scope}.models')
