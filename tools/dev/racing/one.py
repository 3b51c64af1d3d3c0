"""One network, trained and tested in a process of its own, whose peak of memory is the network's."""

from __future__ import annotations

import copy
import json
import os
import resource
import sys
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from mmengine.config import Config

from hrnet_mm.pictures.curves import read_run
from hrnet_mm.training.command_line import run_tool
from hrnet_mm.training.run import run_test, run_train
from hrnet_mm.utils import atomic_write

from .configs import set_length

_RESULT: Final = 'result.json'
_LENGTH: Final = 'length.json'
_PROBE: Final = 12  # iterations that tell how long one takes, where the budget is minutes


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a network did.

    Attributes:
        metrics: As the evaluator names them, on the test data.
        iterations: Steps of training.
        rate: The highest learning rate.
        training: Seconds of training for each image, the median of the log's records.
        waiting: Share of them in which the network waited for data.
        memory: Bytes: of a GPU the most that were allocated, else the most that the process held.
        checkpoint: The weights that were tested.
    """

    metrics: dict[str, float]
    iterations: int
    rate: float
    training: float
    waiting: float
    memory: int
    checkpoint: str


def read_result(cfg: Config) -> Result | None:
    """What a config's network did, None if it has not finished."""
    path = Path(cfg.work_dir) / _RESULT
    return Result(**json.loads(path.read_text(encoding='utf-8'))) if path.is_file() else None


def train_and_test(cfg: Config, *, iterations: int, minutes: float | None) -> None:
    """The work of the process: from the latest checkpoint in ``cfg.work_dir`` to ``result.json`` there.

    What the packages print goes to ``output.txt``; a mistake ends the process in one line.
    """
    warnings.filterwarnings('ignore')  # what the packages say of themselves
    with open(Path(cfg.work_dir) / 'output.txt', 'a', encoding='utf-8') as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
    run_tool(partial(_train_and_test, cfg, iterations=iterations, minutes=minutes))


def _train_and_test(cfg: Config, *, iterations: int, minutes: float | None) -> None:
    for module in (*(cfg.custom_imports or {}).get('imports', ()), 'racing.examples'):
        import_module(module)
    cfg.resume = True  # from the start where nothing was saved yet
    length = _length(cfg, minutes) if minutes else iterations
    set_length(cfg, length)
    checkpoint = run_train(cfg)
    if torch.cuda.is_available():
        memory = torch.cuda.max_memory_allocated()
    else:
        memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, waiting = step_of(cfg)
    result = Result(
        metrics=run_test(cfg, checkpoint),
        iterations=length,
        rate=cfg.optim_wrapper.optimizer.lr,
        training=seconds / cfg.train_dataloader.batch_size,
        waiting=waiting / seconds,
        memory=memory,
        checkpoint=str(checkpoint),
    )
    _write(Path(cfg.work_dir) / _RESULT, asdict(result))


def _length(cfg: Config, minutes: float) -> int:
    """How many iterations fit, as a few tell; written down, so that a resumed run has as many."""
    path = Path(cfg.work_dir) / _LENGTH
    if not path.is_file():
        probe = copy.deepcopy(cfg)
        probe.work_dir = str(path.parent / 'probe')
        set_length(probe, _PROBE)
        run_train(probe)
        seconds, _ = step_of(probe)
        _write(path, max(1, round(60 * minutes / seconds)))
    return int(json.loads(path.read_text(encoding='utf-8')))


def step_of(cfg: Config) -> tuple[float, float]:
    """Seconds of an iteration, and those in which it waited for data: medians of the log's records."""
    curves = read_run(cfg.work_dir).curves
    time, waiting = (median(point.value for point in curves[key]) for key in ('time', 'data_time'))
    return time, waiting


def _write(path: Path, content: Any) -> None:
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
