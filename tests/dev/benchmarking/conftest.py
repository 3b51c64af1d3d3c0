"""The machine's rate is measured on small products, except where a test is about it."""

from __future__ import annotations

import pytest
from benchmarking import rate


@pytest.fixture(autouse=True)
def quick_rate(monkeypatch) -> None:
    monkeypatch.setattr(rate, '_SIDES', {'cpu': (64, 128)})
    monkeypatch.setattr(rate, '_CONVOLUTIONS', {'cpu': ((1, 16, 16),)})
    monkeypatch.setattr(rate, '_TRIES', 2)
