"""The predicted memory of training for people to read."""

from __future__ import annotations

from collections.abc import Sequence

from .shapes import Shape
from .training_memory import GIB, Recomputation, TrainingMemory


def memory_as_text(memory: TrainingMemory, shape: Shape, *, amp: bool) -> str:
    """What a training step holds, one fact a line."""
    precision = 'bfloat16 where autocast uses it' if amp else 'float32'
    return '\n'.join(
        [
            f'one process, {memory.batch} images of {shape[0]}x{shape[1]}, {precision}',
            f'weights and statistics  {_gib(memory.weights)}',
            f'gradients               {_gib(memory.gradients)}',
            f'optimizer state         {_gib(memory.optimizer)}',
            f'peak, features included {_gib(memory.peak)}',
        ]
    )


def largest_as_text(largest: TrainingMemory | None, *, gib: float) -> str:
    """The answer to how many images fit."""
    if largest is None:
        return f'into {gib:g} GiB       not even one image fits'
    return f'largest batch in {gib:g} GiB: {largest.batch} (peak {_gib(largest.peak).strip()})'


def recomputations_as_text(rows: Sequence[Recomputation]) -> str:
    """What ``model.backbone.with_cp`` saves and costs, a stage a line."""
    without = rows[0].memory.peak
    lines = ['', 'recomputed (model.backbone.with_cp)   peak        saved   work']
    for row in rows:
        name = str(row.stages) if row.stages else 'nothing'
        saved = 1 - row.memory.peak / without
        lines.append(f'{name:36} {_gib(row.memory.peak)} {saved:6.1%} {row.extra_work:+6.1%}')
    return '\n'.join(lines)


def _gib(size: int) -> str:
    return f'{size / GIB:7.2f} GiB'
