"""On one NVIDIA GPU: ``make test-gpu``. Nothing is needed but the package, its requirements and the card."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if 'gpu' in item.path.parent.name]
    for item in here:
        item.add_marker(pytest.mark.gpu)
        if not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason='no NVIDIA GPU here'))


@pytest.fixture(autouse=True)
def full_float32() -> Iterator[None]:
    """Without TF32, whose 10 bits would hide mistakes."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
