"""What a process holds: tensors by count and bytes, and pages."""

from __future__ import annotations

import gc
import resource
from pathlib import Path
from typing import NamedTuple

import torch


class Held(NamedTuple):
    """Live tensors, the bytes of their storages (each once), and the process's bytes in memory."""

    tensors: int
    bytes: int
    resident: int


def held() -> Held:
    """What is held now, garbage collected."""
    gc.collect()
    tensors = [item for item in gc.get_objects() if issubclass(type(item), torch.Tensor)]
    storages = {storage._cdata: storage.nbytes() for storage in (x.untyped_storage() for x in tensors)}
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return Held(len(tensors), sum(storages.values()), pages * resource.getpagesize())
