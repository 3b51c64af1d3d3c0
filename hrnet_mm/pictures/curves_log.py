"""Reading MMEngine's training logs: ``<timestamp>/vis_data/scalars.json``, one record a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError

_LOG = 'vis_data/scalars.json'
#: What a record says about its place, not about the training.
_PLACES = frozenset({'iter', 'epoch', 'step'})
#: What validation logs beside metrics.
_NO_METRICS = frozenset({'time', 'data_time', 'memory'})


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value.

    Attributes:
        iteration: Training iterations done. For a metric that was logged by epoch: those of the last
            training record before it.
        epoch: Training epochs done; None for training values, and where the log doesn't count epochs.
        value: nan where the log has it so.
    """

    iteration: int
    epoch: int | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """All logs of one work folder.

    Attributes:
        name: The folder as given.
        training: Key -> values in the order of iterations: losses, learning rates, accuracies, times.
        validation: The same for what validation logged. A key that training logs too begins with ``val/``.
        logs: Number of log files.
        superseded: Values of earlier logs that were left out, see ``read_run``.
    """

    name: str
    training: Mapping[str, tuple[Point, ...]]
    validation: Mapping[str, tuple[Point, ...]]
    logs: int
    superseded: int

    @property
    def keys(self) -> list[str]:
        """All keys, training's first."""
        return [*self.training, *self.validation]

    @property
    def metrics(self) -> list[str]:
        """Validation keys without times."""
        return [key for key in self.validation if key.removeprefix('val/') not in _NO_METRICS]

    def points(self, key: str) -> tuple[Point, ...]:
        """The values of a key; none if the run never logged it."""
        return self.training.get(key) or self.validation.get(key) or ()

    def summary(self) -> str:
        """One line."""
        last = max((points[-1].iteration for points in self.training.values()), default=0)
        parts = [f'{self.logs} log{"s" * (self.logs != 1)}', f'{last} iterations']
        parts += [f'{self.superseded} values of earlier logs superseded'] if self.superseded else []
        return f'{self.name}: {", ".join(parts)}'


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A line of a log and where it stands."""

    training: bool
    iteration: int
    epoch: int | None
    values: Mapping[str, float]


def read_run(folder: str | Path) -> Run:
    """Read the logs of a work folder, in the order of their timestamps.

    Every start of a training, resumed or from scratch, has a log of its own. From the first iteration
    that a log holds, it replaces all earlier ones: what they have beyond was lost or done again. A last
    line that is cut off, as a killed run leaves it, is passed over.

    Args:
        folder: A work folder, or one of the folders named by a timestamp in it.

    Raises:
        ConfigError: if there is no log, none with a record, or a broken line before the last.
    """
    files = _find_logs(Path(folder))
    kept: list[_Record] = []
    superseded = 0
    for file in files:
        records = list(_records(file))
        start = next((record.iteration for record in records if record.training), math.inf)
        superseded += sum(len(record.values) for record in kept if record.iteration >= start)
        kept = [*(record for record in kept if record.iteration < start), *records]
    if not kept:
        raise ConfigError(
            key='WORK_DIR', value=str(folder), expected=f'a log with a record in it: {files[-1]}'
        )
    training = _by_key(record for record in kept if record.training)
    validation = _by_key(record for record in kept if not record.training)
    return Run(
        name=str(folder),
        training=training,
        validation={f'val/{key}' if key in training else key: points for key, points in validation.items()},
        logs=len(files),
        superseded=superseded,
    )


def _find_logs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(key='WORK_DIR', value=str(folder), expected='an existing folder')
    files = sorted(chain(folder.glob(_LOG), folder.glob(f'*/{_LOG}')))
    if not files:
        raise ConfigError(
            key='WORK_DIR',
            value=str(folder),
            expected=f'the work folder of a training, with <timestamp>/{_LOG} in it',
        )
    return files


def _records(file: Path) -> Iterator[_Record]:
    last: Mapping[str, Any] = {}
    for line in _lines(file):
        values = {_plain(key): float(value) for key, value in line.items() if _is_number(key, value)}
        if 'iter' in line:  # MMEngine counts iterations in training records alone
            last = line
            yield _Record(training=True, iteration=int(line['iter']), epoch=None, values=values)
        else:
            iteration, epoch = _place(int(line.get('step', 0)), last)
            yield _Record(training=False, iteration=iteration, epoch=epoch, values=values)


def _place(step: int, last: Mapping[str, Any]) -> tuple[int, int | None]:
    """Iteration and epoch of a validation.

    Its step is an epoch or an iteration, as the config's LoggerHook has it. In training by iterations with
    a LoggerHook that counts epochs it is neither: it stays 0 while the data never end.

    Args:
        step: As logged.
        last: The training record before it, empty where there is none.
    """
    iteration, epoch = int(last.get('iter', step)), last.get('epoch')
    if epoch is None:
        return max(step, iteration), None
    if step > epoch:
        return max(step, iteration), int(epoch)
    return iteration, step or int(epoch)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip('\0 \t')]
    for number, line in filled:
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == filled[-1][0]:
                return
            raise ConfigError(
                key=f'line {number}', value=line[:40], expected=f'a JSON record in {file} ({error.msg})'
            ) from error
        if isinstance(record, dict):
            yield record


def _by_key(records: Iterator[_Record]) -> dict[str, tuple[Point, ...]]:
    """Key -> points in order; of two at one place the latest stays."""
    table: dict[str, dict[tuple[int, int], Point]] = {}
    for record in records:
        for key, value in record.values.items():
            point = Point(iteration=record.iteration, epoch=record.epoch, value=value)
            table.setdefault(key, {})[record.iteration, record.epoch or 0] = point
    return {key: tuple(points[place] for place in sorted(points)) for key, points in table.items()}


def _plain(key: str) -> str:
    """The key without the prefix of a log processor that keeps hierarchies."""
    return key.removeprefix('train/').removeprefix('val/')


def _is_number(key: str, value: Any) -> bool:
    return key not in _PLACES and isinstance(value, (int, float)) and not isinstance(value, bool)
