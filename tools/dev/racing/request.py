"""What a race is asked for, and who runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from hrnet_mm.config.errors import ConfigError

from .networks import TASKS, WIDTHS, Entrant, Task


@dataclass(frozen=True, kw_only=True)
class Race:
    """What was asked for.

    Attributes:
        task: A key of ``TASKS``.
        data: Drawn data, or any folder that ``make_config`` reads.
        out: Folder for all that is written.
        iterations: Steps of every network.
        minutes: Minutes of training of every network, in place of ``iterations``.
        width: One of the ``WIDTHS``.
        only: Names of networks; empty for all of the task.
        ablation: Race the papers' variants of HRNet instead.
        device: ``'cpu'`` or ``'cuda'``.
        amp: Train in bfloat16 where torch's autocast does.
        batch: Images a step; None for as many as the data's recipe has.
        rate: HRNet's learning rate, the others' in proportion; None for that of the data's recipe.
        resolution: Factor on the size of images and crops.
        workers: Processes that load data.
        seed: Of weights and of the order of images.

    Raises:
        ConfigError: if a value is unknown, or cannot be had on this machine.
    """

    task: str
    data: Path
    out: Path
    iterations: int = 400
    minutes: float | None = None
    width: str = 'small'
    only: tuple[str, ...] = ()
    ablation: bool = False
    device: str = 'cpu'
    amp: bool = False
    batch: int | None = None
    rate: float | None = None
    resolution: float = 1.0
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for key, value, known in (
            ('TASK', self.task, TASKS),
            ('--width', self.width, WIDTHS),
            *(('--only', name, [each.name for each in self._all]) for name in self.only),
        ):
            if value not in known:
                raise ConfigError(key=key, value=value, expected=f'one of {", ".join(known)}')
        if self.ablation and not self.about.ablation:
            tasks = ', '.join(name for name, each in TASKS.items() if each.ablation)
            raise ConfigError(key='TASK', value=self.task, expected=f'one of {tasks} for --ablation')
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigError(key='--device', value='cuda', expected='cpu, torch sees no NVIDIA GPU here')
        if self.amp and self.device == 'cpu':
            raise ConfigError(key='--amp', value=True, expected='--device cuda with it')
        for key, number in (('--budget-iters', self.iterations), ('--batch', self.batch)):
            if number is not None and number < 1:
                raise ConfigError(key=key, value=number, expected='1 or more')
        if not self.data.is_dir():
            raise ConfigError(key='--data', value=str(self.data), expected='a folder of data')

    @property
    def about(self) -> Task:
        """The task."""
        return TASKS[self.task]

    @property
    def _all(self) -> tuple[Entrant, ...]:
        return self.about.ablation if self.ablation else self.about.networks

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """The networks, HRNet first."""
        return tuple(each for each in self._all if not self.only or each.name in self.only)

    @property
    def budget(self) -> str:
        """As in ``400 iterations``."""
        return f'{self.minutes:g} minutes' if self.minutes else f'{self.iterations} iterations'
