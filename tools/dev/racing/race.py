"""One network after the other; then all of them counted, and timed side by side."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarking.timer import Clock, Samples, time_in_rounds
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from publishing.comparison import inference

from hrnet_mm.analysis import Complexity, complexity_of
from hrnet_mm.config.build import build_model, build_trained
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.utils import atomic_write, quiet

from .configs import base_config, entrant_config
from .one import Result, read_result, train_and_test
from .request import Race

_ROUNDS: Final = 5  # enough for a median
_DIVISOR: Final = 32  # the networks pad test images to multiples of it


@dataclass(frozen=True, kw_only=True)
class Finish:
    """A row of the table.

    Attributes:
        name: The network.
        is_ours: Whether it is an HRNet.
        score: The task's metric.
        result: What its process found out.
        size: Parameters and multiply-accumulates on one test image.
        inference: Times of the trained network on one test image.
    """

    name: str
    is_ours: bool
    score: float
    result: Result
    size: Complexity
    inference: Samples


@dataclass(frozen=True, kw_only=True)
class Standings:
    """What came out of a race: who finished, who failed, the test image's height and width, the batch."""

    finishes: tuple[Finish, ...]
    failed: tuple[str, ...]
    shape: tuple[int, int]
    batch: int


def run_race(race: Race) -> Standings:
    """Train and test all networks; those that finished in an earlier call are left as they are.

    Raises:
        ConfigError: if the data are not for the task, ``race.out`` holds another race, or nobody finished.
    """
    base, (metric, title) = base_config(race), race.about.metric
    entrants = {each.source(race.width).label: each for each in race.entrants}
    configs = {name: entrant_config(base, each, race) for name, each in entrants.items()}
    for cfg in configs.values():
        _claim(cfg, race)
    results: dict[str, Result] = {}
    for number, (name, cfg) in enumerate(configs.items(), start=1):
        print(f'[{number}/{len(configs)}] {name}, {race.budget}', flush=True)
        if read_result(cfg) is None:
            _run_in_a_process(cfg, race)
        if result := read_result(cfg):
            results[name] = result
            print(f'      {title} {result.metrics[metric]:.4g}', flush=True)
    if not results:
        raise ConfigError(key='TASK', value=race.task, expected='a network that finishes; see above')
    done = {name: configs[name] for name in results}
    shape = test_shape(base)
    times = _times(done, results, shape, race.device)
    return Standings(
        finishes=tuple(
            Finish(
                name=name,
                is_ours=entrants[name].is_ours,
                score=result.metrics[metric],
                result=result,
                size=complexity_of(build_model(configs[name], device='meta'), shape),
                inference=times[name],
            )
            for name, result in results.items()
        ),
        failed=tuple(name for name in configs if name not in results),
        shape=shape,
        batch=next(iter(configs.values())).train_dataloader.batch_size,
    )


def test_shape(base: Config) -> tuple[int, int]:
    """Height and width in which the networks get the first test image."""
    import_module(f'{base.default_scope}.datasets')
    with DefaultScope.overwrite_default_scope(base.default_scope), quiet():
        image = DATASETS.build(base.test_dataloader.dataset)[0]['inputs']
    height, width = (-(-length // _DIVISOR) * _DIVISOR for length in image.shape[1:])
    return height, width


def _times(
    configs: Mapping[str, Config], results: Mapping[str, Result], shape: tuple[int, int], device: str
) -> dict[str, Samples]:
    """Of inference on one image: in rounds, so that a passing load meets all networks."""
    jobs = {}
    for name, cfg in configs.items():
        model = build_trained(cfg, results[name].checkpoint, device=device).eval()
        jobs[name] = inference(model, shape, scope=cfg.default_scope)
    return time_in_rounds(jobs, rounds=_ROUNDS, clock=Clock.of(device))


def _claim(cfg: Config, race: Race) -> None:
    """Write a network's config into its folder, or see that the same one lies there."""
    path, text = Path(cfg.work_dir) / 'entrant.py', str(cfg.pretty_text)
    if path.is_file() and path.read_text(encoding='utf-8') != text:
        expected = f'a folder without another race; the settings in {path} differ'
        raise ConfigError(key='--out', value=str(race.out), expected=expected)
    with atomic_write(path) as aside:
        aside.write_text(text, encoding='utf-8')


def _run_in_a_process(cfg: Config, race: Race) -> None:
    """Train and test; the process ends with this one, however that is ended."""
    context = get_context('forkserver')  # imports the packages once for all networks
    context.set_forkserver_preload(['hrnet_mm.training', f'{cfg.default_scope}.apis'])
    length = dict(iterations=race.iterations, minutes=race.minutes)
    process = context.Process(target=train_and_test, args=(cfg,), kwargs=length)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process.start()
    try:
        process.join()
    finally:
        signal.signal(signal.SIGTERM, before)
        process.terminate()
        process.join()
