"""A model's buffers as they were: the statistics of batch norms take in a batch before its loss is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


class KeptBuffers:
    """A copy of buffers, made again and again: one kernel for each dtype and device, however many there are.

    Args:
        buffers: Tensors that stay the same objects, as ``model.buffers()`` gives them.
    """

    def __init__(self, buffers: Iterable[Tensor]) -> None:
        groups: dict[object, list[Tensor]] = defaultdict(list)
        for buffer in buffers:
            groups[buffer.dtype, buffer.device].append(buffer)
        self._groups = list(groups.values())
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """Remember the present values."""
        self._kept = [torch.cat([buffer.reshape(-1) for buffer in group]) for group in self._groups]

    @torch.no_grad()
    def put_back(self) -> None:
        """Return to the values of the last ``keep``."""
        for group, kept in zip(self._groups, self._kept, strict=True):
            values = kept.split([buffer.numel() for buffer in group])
            for buffer, value in zip(group, values, strict=True):
                buffer.copy_(value.view_as(buffer))
