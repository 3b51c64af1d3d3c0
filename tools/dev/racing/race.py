"""One network after the other; then all of them counted, and timed side by side."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import torch
from benchmarking.timer import Clock, Samples, time_in_rounds
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch import nn

from hrnet_mm.analysis import Complexity, complexity_of, empty_image
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
    base, metric = base_config(race), race.about.metric[0]
    entrants = {each.source(race.width).label: each for each in race.entrants}
    configs = {name: entrant_config(base, each, race) for name, each in entrants.items()}
    results = _results(configs, race)
    if not results:
        raise ConfigError(key='TASK', value=race.task, expected='a network that finishes; see above')
    shape = input_shape(base)
    times = _times(configs, results, shape, race.device)
    finishes = [
        Finish(
            name=name,
            is_ours=entrants[name].is_ours,
            score=result.metrics[metric],
            result=result,
            size=complexity_of(build_model(configs[name], device='meta'), shape),
            inference=times[name],
        )
        for name, result in results.items()
    ]
    failed = tuple(name for name in configs if name not in results)
    batch = next(iter(configs.values())).train_dataloader.batch_size
    return Standings(finishes=tuple(finishes), failed=failed, shape=shape, batch=batch)


def _results(configs: Mapping[str, Config], race: Race) -> dict[str, Result]:
    """What those did that finished, now or in an earlier call."""
    for cfg in configs.values():
        _claim(cfg, race)
    (metric, title), results = race.about.metric, {}
    for number, (name, cfg) in enumerate(configs.items(), start=1):
        print(f'[{number}/{len(configs)}] {name}, {race.budget}', flush=True)
        if read_result(cfg) is None:
            _run_in_a_process(cfg, race)
        if result := read_result(cfg):
            results[name] = result
            print(f'      {title} {result.metrics[metric]:.4g}', flush=True)
    return results


def input_shape(base: Config) -> tuple[int, int]:
    """Height and width in which the networks get the first test image."""
    import_module(f'{base.default_scope}.datasets')
    silent = redirect_stdout(io.StringIO())  # pycocotools tells that it loads annotations
    with DefaultScope.overwrite_default_scope(base.default_scope), quiet(), silent:
        image = DATASETS.build(base.test_dataloader.dataset)[0]['inputs']
    height, width = (-(-length // _DIVISOR) * _DIVISOR for length in image.shape[1:])
    return height, width


def _times(
    configs: Mapping[str, Config], results: Mapping[str, Result], shape: tuple[int, int], device: str
) -> dict[str, Samples]:
    """Of inference on one image: in rounds, so that a passing load meets all networks."""
    jobs = {}
    for name, result in results.items():
        model = build_trained(configs[name], result.checkpoint, device=device)
        jobs[name] = _inference(model, shape, scope=configs[name].default_scope)
    return time_in_rounds(jobs, rounds=_ROUNDS, clock=Clock.of(device))


def _inference(model: nn.Module, shape: tuple[int, int], *, scope: str) -> Callable[[], Any]:
    """What runs a model on one empty image; detectors choose boxes and look into them too."""
    samples = None
    if scope == 'mmdet':
        from mmdet.structures import DetDataSample

        sizes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), shape)
        samples = [DetDataSample(metainfo={**sizes, 'scale_factor': (1.0, 1.0)})]
    return torch.inference_mode()(partial(model, empty_image(model, shape), samples, mode='tensor'))


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
