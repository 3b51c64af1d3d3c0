"""Biases of convolutions that a norm follows: some layouts have them, some do not, and both mean the same.

``norm(conv(x) + b)`` with running mean ``m`` equals ``norm(conv(x))`` with running mean ``m - b``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .errors import CheckpointError
from .layouts import BEFORE_NORMS
from .renaming import rename


@dataclass(frozen=True)
class Settled:
    """A state dict in our names whose biases are those that were wanted, and what that took."""

    state: dict[str, Tensor]
    folded: tuple[str, ...]
    added: tuple[str, ...]


def settle_biases(state: Mapping[str, Tensor], *, wanted: Callable[[str], bool], source: object) -> Settled:
    """Fold or add biases, so that those are there that are wanted, with the same outputs.

    Args:
        state: Tensors in our names.
        wanted: Whether the target has the bias of that key.
        source: For errors.

    Raises:
        CheckpointError: a bias stands before a norm without running statistics, or of another width, where
            it cannot go.
    """
    settled = dict(state)
    folded, added = [], []
    for weight in [key for key in state if key.endswith('.weight')]:
        norm = rename(weight, BEFORE_NORMS)
        if norm is None or state[weight].ndim < 2:
            continue
        bias = f'{weight.removesuffix("weight")}bias'
        if bias in state and not wanted(bias):
            mean = f'{norm.removesuffix("weight")}running_mean'
            if mean not in state:
                raise CheckpointError(
                    source=source,
                    problem=f'has the bias {bias} before a norm without {mean}',
                    expected='a batch norm there, to fold the bias into',
                )
            if state[mean].shape != state[bias].shape:
                raise CheckpointError(
                    source=source,
                    problem=f'has {bias} of another shape than {mean}',
                    expected='one value for each channel in both',
                )
            settled[mean] = state[mean] - settled.pop(bias)
            folded.append(bias)
        elif bias not in state and wanted(bias):
            settled[bias] = state[weight].new_zeros(state[weight].shape[0])
            added.append(bias)
    return Settled(settled, tuple(folded), tuple(added))
