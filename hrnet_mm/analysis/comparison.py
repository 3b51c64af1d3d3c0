"""HRNet against the others: the partners' configs and ours, counted and measured alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from tqdm import tqdm

from ..config.errors import ConfigError
from ..config.load import load_config
from .complexity import Complexity, complexity_of
from .memory import Memory, memory_of
from .partners import PARTNERS, TASKS, Partner
from .running import build_on_meta
from .shapes import Shape
from .table import configs_folder
from .timing import Timing, time_inference


@dataclass(frozen=True)
class Measured:
    """A partner and what its config gives here.

    Attributes:
        partner: which network, and what was published about it.
        shape: height and width of the image.
        size: parameters and multiply-accumulates.
        memory: peak bytes of tensors.
        timing: time of inference, if it was asked for.
    """

    partner: Partner
    shape: Shape
    size: Complexity
    memory: Memory
    timing: Timing | None = None

    @property
    def params(self) -> int:
        """Parameters of the network that is used: heads that only training runs are left out."""
        return self.size.params - self.size.auxiliary_params


def require_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """The comparisons that were asked for, in the table's order; none named means all.

    Raises:
        ConfigError: if one is unknown.
    """
    for name in names:
        if name not in TASKS:
            raise ConfigError(key='--compare', value=name, expected=f'one of {", ".join(TASKS)}')
    return tuple(task for task in TASKS if not names or task in names)


def partners_of(tasks: Sequence[str]) -> list[Partner]:
    """The networks of some comparisons."""
    return [partner for partner in PARTNERS if partner.task in tasks]


def config_of(partner: Partner) -> Config:
    """A partner's config, from ``configs/`` or from the package that ships it."""
    return load_config(partner.config if '::' in partner.config else configs_folder() / partner.config)


def compare_partners(
    partners: Iterable[Partner] = PARTNERS,
    *,
    shape: Shape | None = None,
    timed: bool = False,
    progress: bool = False,
) -> list[Measured]:
    """Count, and time if asked for, the networks of some comparisons.

    Args:
        partners: which ones.
        shape: height and width of the image, instead of each partner's own.
        timed: measure the time of inference too, on this machine's first GPU or else its CPU.
        progress: show bars with the time that remains.

    Raises:
        ConfigError: if a package is missing, or a model can't be built or run.
    """
    chosen = list(partners)
    bar = tqdm(chosen, desc='counting', unit='model', disable=not progress)
    rows = [_measured(partner, shape or partner.shape) for partner in bar]
    if not timed:
        return rows
    groups = [[row for row in rows if row.partner.task == task] for task in TASKS]
    return [row for group in groups if group for row in _timed(group, shape, progress)]


def _measured(partner: Partner, shape: Shape) -> Measured:
    model = build_on_meta(config_of(partner))
    return Measured(partner, shape, complexity_of(model, shape), memory_of(model, shape))


def _timed(rows: Sequence[Measured], shape: Shape | None, progress: bool) -> list[Measured]:
    """The rows of one comparison with their times."""
    cpu_shape = None if torch.cuda.is_available() else TASKS[rows[0].partner.task].cpu_time_shape
    shapes = [shape or cpu_shape or row.shape for row in rows]
    timings = time_inference([config_of(row.partner) for row in rows], shapes, progress=progress)
    return [
        Measured(row.partner, row.shape, row.size, row.memory, timing)
        for row, timing in zip(rows, timings, strict=True)
    ]


def comparison_records(rows: Iterable[Measured]) -> list[dict[str, Any]]:
    """One dict per row, for JSON."""
    return [{**asdict(row), 'params': row.params} for row in rows]


def write_comparison(path: Path, rows: Iterable[Measured]) -> None:
    """Write ``comparison_records`` as JSON."""
    path.write_text(json.dumps({'rows': comparison_records(rows)}, indent=2) + '\n', encoding='utf-8')
