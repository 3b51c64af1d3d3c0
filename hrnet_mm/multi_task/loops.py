"""MMEngine's loops for several tasks: a data loader and an evaluator each, and hooks for one of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner, autocast
from torch.utils.data import DataLoader

from ..config.codebases import CODEBASES, task_scopes
from ..config.errors import ConfigError
from ..config.joint import of_task, task_config
from ..registry import HOOKS, LOOPS


class TaskLoaders:
    """The data loaders of several tasks as one, whose batches are ``{task: batch}``.

    Args:
        loaders: task -> its data loader.
        shares: task -> how often it is drawn, in proportion to the others, where one task is drawn a step;
            None for a batch of every task in each.
        seed: of the draws, which every process makes alike.
    """

    def __init__(
        self, loaders: Mapping[str, DataLoader], *, shares: Mapping[str, float] | None = None, seed: int = 0
    ) -> None:
        self.loaders = dict(loaders)
        self.shares = shares
        self._seed = seed
        self.dataset = _Datasets({name: loader.dataset for name, loader in loaders.items()})

    def __len__(self) -> int:
        """Batches of one pass over all data."""
        return sum(map(len, self.loaders.values()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One pass over all data, task after task."""
        for name, loader in self.loaders.items():
            for batch in loader:
                yield {name: batch}

    def draws(self) -> Iterator[tuple[str, ...]]:
        """The tasks of each training step, without end."""
        names = tuple(self.loaders)
        if self.shares is None:
            yield from itertools.repeat(names)
        weights = np.array([(self.shares or {})[name] for name in names], float)
        random = np.random.default_rng(self._seed)
        while True:
            yield (names[random.choice(len(names), p=weights / weights.sum())],)

    def steps(self, iterators: Mapping[str, Iterator[Any]], *, skip: int = 0) -> Iterator[dict[str, Any]]:
        """Batches of training steps, without end, from those of each task; the first ``skip`` are None."""
        for step, names in enumerate(self.draws()):
            yield {} if step < skip else {name: next(iterators[name]) for name in names}


class _Datasets:
    """What MMEngine asks of a data set, of several."""

    def __init__(self, datasets: Mapping[str, Any]) -> None:
        self.datasets = list(datasets.values())
        self.metainfo = {name: getattr(dataset, 'metainfo', None) for name, dataset in datasets.items()}

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


def _build_loaders(runner: Runner, settings: Mapping[str, Any], *, key: str) -> dict[str, DataLoader]:
    seed = runner._randomness_cfg.get('seed')
    loaders = {}
    for name, scope in task_scopes(runner.cfg).items():
        if settings.get(name) is None:
            expected = f'a data loader for each of the tasks; there are {", ".join(settings) or "none"}'
            raise ConfigError(key=f'{key}.{name}', value=None, expected=expected)
        with DefaultScope.overwrite_default_scope(scope), of_task(name):
            loaders[name] = runner.build_dataloader(settings[name], seed=seed)
    return loaders


@LOOPS.register_module()
class MultiTaskTrainLoop(IterBasedTrainLoop):
    """Trains several tasks, each with its data loader: a step takes a batch of every task.

    ``train_dataloader`` is a dictionary, task -> data loader; or one data loader for all, of
    :class:`SharedImages`.

    Args:
        runner: MMEngine's.
        dataloader: ``train_dataloader``.
        max_iters: steps of the run.
        shares: task -> how often it is drawn, in proportion to the others: then a step takes a batch of one
            task. In distributed training this needs ``find_unused_parameters=True``.
        **intervals: ``val_begin``, ``val_interval`` and ``dynamic_intervals`` of ``IterBasedTrainLoop``.

    Raises:
        ConfigError: a task has no data loader, or ``shares`` are none of the tasks'.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        max_iters: int,
        shares: Mapping[str, float] | None = None,
        **intervals: Any,
    ) -> None:
        if isinstance(dataloader, Mapping) and 'dataset' not in dataloader:
            loaders = _build_loaders(runner, dataloader, key='train_dataloader')
            if shares is not None and (set(shares) != set(loaders) or not min(shares.values()) > 0):
                expected = f'a number above 0 for each of {", ".join(loaders)}'
                raise ConfigError(key='train_cfg.shares', value=dict(shares), expected=expected)
            dataloader = TaskLoaders(loaders, shares=shares, seed=runner.seed or 0)
        super().__init__(runner, dataloader, max_iters, **intervals)
        if isinstance(self.dataloader, TaskLoaders):
            endless = {name: _endless(loader) for name, loader in self.dataloader.loaders.items()}
            self.dataloader_iterator = self.dataloader.steps(endless)


def _endless(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader, pass after pass."""
    for number in itertools.count():
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(number)
        yield from loader


class _EvaluationLoop(BaseLoop):
    """Evaluates the tasks one after another, each by its own evaluator.

    Metrics are named ``<task>/<metric>``.

    Args:
        runner: MMEngine's.
        dataloader: task -> data loader.
        evaluator: task -> evaluator.
        fp16: evaluate in mixed precision.
        mean: names of metrics to average as ``mean``, for ``save_best='mean'``: each between 0 and 1, those
            that a package gives in percent divided by 100.

    Raises:
        ConfigError: a task has no data loader or evaluator.
    """

    stage: str
    task: str  # that is evaluated now

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        evaluator: Mapping[str, Any],
        fp16: bool = False,
        mean: Sequence[str] = (),
    ) -> None:
        if isinstance(dataloader, Mapping):
            dataloader = TaskLoaders(_build_loaders(runner, dataloader, key=f'{self.stage}_dataloader'))
        super().__init__(runner, dataloader)
        self.fp16, self.mean = fp16, tuple(mean)
        self.scopes = task_scopes(runner.cfg)
        self.evaluators: dict[str, Evaluator] = {}
        for name, loader in self.dataloader.loaders.items():
            if evaluator.get(name) is None:
                expected = f'an evaluator for each of the tasks; there are {", ".join(evaluator)}'
                raise ConfigError(key=f'{self.stage}_evaluator.{name}', value=None, expected=expected)
            with DefaultScope.overwrite_default_scope(self.scopes[name]), of_task(name):
                self.evaluators[name] = runner.build_evaluator(evaluator[name])
            self.evaluators[name].dataset_meta = getattr(loader.dataset, 'metainfo', None)
        runner.visualizer.dataset_meta = self.dataloader.dataset.metainfo

    def run(self) -> dict[str, Any]:
        """Evaluate all tasks."""
        self._call(f'before_{self.stage}')
        self._call(f'before_{self.stage}_epoch')
        self.runner.model.eval()
        metrics: dict[str, Any] = {}
        index = itertools.count()
        for name, loader in self.dataloader.loaders.items():
            self.task = name
            with DefaultScope.overwrite_default_scope(self.scopes[name]):
                for batch in loader:
                    self.run_iter(next(index), name, batch)
                found = self.evaluators[name].evaluate(len(loader.dataset))
            metrics |= {f'{name}/{key}': value for key, value in found.items()}
        if self.mean:
            metrics['mean'] = self._mean(metrics)
        self._call(f'after_{self.stage}_epoch', metrics=metrics)
        self._call(f'after_{self.stage}')
        return metrics

    @torch.no_grad()
    def run_iter(self, index: int, name: str, batch: Any) -> None:
        """Predict and compare one batch of a task."""
        self._call(f'before_{self.stage}_iter', batch_idx=index, data_batch=batch)
        step = getattr(self.runner.model, f'{self.stage}_step')
        with autocast(enabled=self.fp16):
            outputs = step({name: batch})[name]
        self.evaluators[name].process(data_samples=outputs, data_batch=batch)
        self._call(f'after_{self.stage}_iter', batch_idx=index, data_batch=batch, outputs=outputs)

    def _call(self, hook: str, **arguments: Any) -> None:
        self.runner.call_hook(hook, **arguments)

    def _mean(self, metrics: Mapping[str, Any]) -> float:
        absent = next((name for name in self.mean if name not in metrics), None)
        if absent is not None:
            expected = f'metrics of the evaluators: {", ".join(metrics)}'
            raise ConfigError(key=f'{self.stage}_cfg.mean', value=absent, expected=expected)
        return float(np.mean([float(metrics[name]) / self._perfect(name) for name in self.mean]))

    def _perfect(self, name: str) -> float:
        """What a metric is when nothing is wrong: 1, or 100 where the package counts in percent."""
        codebase = CODEBASES[self.scopes[name.partition('/')[0]]]
        return max((best or 1.0 for _, best in codebase.perfect_scores.values()), default=1.0)


@LOOPS.register_module()
class MultiTaskValLoop(_EvaluationLoop):
    __doc__ = _EvaluationLoop.__doc__
    stage = 'val'


@LOOPS.register_module()
class MultiTaskTestLoop(_EvaluationLoop):
    __doc__ = _EvaluationLoop.__doc__
    stage = 'test'


@HOOKS.register_module()
class TaskTestHook(Hook):
    """A hook of single tasks' tests for one of several tasks: it sees the config, data and batches of that.

    Args:
        task: Name of the task.
        hook: Config of the hook; what it does in a test is all that is called.
    """

    priority = 'LOWEST'

    def __init__(self, *, task: str, hook: Mapping[str, Any]) -> None:
        self.task = task
        self.hook: Hook = HOOKS.build(dict(hook))

    def before_test_epoch(self, runner: Runner) -> None:
        """Show the hook a runner of the task alone."""
        loop: Any = runner.test_loop
        view: Any = SimpleNamespace(
            cfg=task_config(runner.cfg, self.task),
            test_dataloader=loop.dataloader.loaders[self.task],
            default_scope=SimpleNamespace(scope_name=loop.scopes[self.task]),
        )
        self.hook.before_test_epoch(view)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Hand on batches of the task."""
        if runner.test_loop.task == self.task:
            self.hook.after_test_iter(runner, batch_idx, data_batch, outputs)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Hand on the task's metrics."""
        own = {
            name.partition('/')[2]: value
            for name, value in (metrics or {}).items()
            if name.partition('/')[0] == self.task
        }
        self.hook.after_test_epoch(runner, own)
