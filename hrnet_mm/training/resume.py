"""A resumed run equals one that was never interrupted: its data, its chance, its validations.

Chance is a function of where training is, so that there is no state of it to save; the train data loader's
batches know their iteration, and can begin at any of them.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, DefaultScope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler

from ..config.codebases import task_scopes
from ..config.errors import ConfigError
from ..multi_task.loops import TaskLoaders
from ..registry import HOOKS, register_in_scope

#: where the message hub, which MMEngine saves, keeps the iteration of the last validation
_VALIDATED = 'validated_iter'


@register_in_scope(HOOKS)
class ExactResumeHook(Hook):
    """With the same seed, weights after a resumed run equal those of an uninterrupted run, bit for bit.

    MMEngine restores weights, optimizer, averages, schedulers and counters. This hook adds what it does not:

    - the data go on where they stopped, in their order, without reading what was trained on already;
    - each sample's augmentation is drawn from (seed, iteration, place in the batch), each step's own chance
      (dropout, sampled proposals) from (seed, iteration), whatever the number of data workers;
    - a validation that was due at the checkpoint, and cut off, is made up for.

    Put ``default_hooks=dict(resume=dict(type='hrnet_mm.ExactResumeHook'))`` into a config.
    """

    priority = 'LOWEST'  # what others draw in their hooks comes first, and is forgotten

    def before_train(self, runner: Runner) -> None:
        """Put the data loader in place, and validate where that was cut off."""
        loop = runner.train_loop
        self._endless = hasattr(loop, 'dataloader_iterator')
        rank = get_rank()
        apart = runner._randomness_cfg.get('diff_rank_seed', False)  # then the seed holds the rank
        numbered = partial(
            numbered_loader,
            seed=runner.seed - rank if apart else runner.seed,
            fetch_seed=runner.seed,
            rank=rank,
            endless=self._endless,
        )
        if isinstance(loop.dataloader, TaskLoaders):
            self._number_tasks(runner, loop, numbered)
        else:
            loop.dataloader, self._batches = numbered(runner.train_dataloader, runner._train_dataloader)
            self._loader = loop.dataloader
            if self._endless:
                self._batches.skip = runner.iter
                loop.dataloader_iterator = begin_after(self._loader, runner.iter)
        self._make_up_for_validation(runner)

    @staticmethod
    def _number_tasks(runner: Runner, loop: Any, numbered: Any) -> None:
        """Of several tasks each goes on where it stopped, after as many batches as it was drawn."""
        tasks, scopes = loop.dataloader, task_scopes(runner.cfg)
        done = Counter(itertools.chain.from_iterable(itertools.islice(tasks.draws(), runner.iter)))
        iterators = {}
        for name, loader in tasks.loaders.items():
            with DefaultScope.overwrite_default_scope(scopes[name]):
                tasks.loaders[name], batches = numbered(loader, runner._train_dataloader[name])
            batches.skip = done[name]
            iterators[name] = begin_after(tasks.loaders[name], 0)
        loop.dataloader_iterator = tasks.steps(iterators, skip=runner.iter)

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin an epoch at its first batch or, after a checkpoint inside it, where that was saved."""
        if self._endless:
            return
        first = runner.epoch * len(self._loader)
        done = runner.iter - first
        if not 0 <= done < len(self._loader):
            runner.logger.warning(
                f'iteration {runner.iter} does not lie in epoch {runner.epoch + 1} of {len(self._loader)} '
                'iterations: the data or the batch size changed since the checkpoint; the epoch begins anew'
            )
            first, done = runner.iter, 0
        self._batches.first, self._batches.skip = first, done

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Mapping[str, Any] | None = None
    ) -> None:
        """Seed the step."""
        seed_step(runner.seed, runner.iter)

    def before_val(self, runner: Runner) -> None:
        """Note the validation; a checkpoint saved in it is saved after its effects."""
        runner.message_hub.update_info(_VALIDATED, runner.iter)

    def _make_up_for_validation(self, runner: Runner) -> None:
        loop = runner.train_loop
        if runner.val_loop is None or runner.iter == 0:
            return
        loop._decide_current_val_interval()
        done = runner.iter if self._endless else runner.epoch
        last = runner.max_iters if self._endless else runner.max_epochs
        due = done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)
        iteration = runner.iter if self._endless else runner.epoch * len(self._loader)
        validated = runner.message_hub.runtime_info.get(_VALIDATED, 0)
        if due and validated < iteration:
            runner.val_loop.run()


#: What the new loader takes over from MMEngine's.
_KEPT = (
    *('num_workers', 'collate_fn', 'pin_memory', 'timeout', 'worker_init_fn'),
    *('multiprocessing_context', 'generator', 'prefetch_factor', 'persistent_workers'),
)


class NumberedBatches(Sampler):
    """The batches of another batch sampler, with the iteration that trains on them.

    Batches that are skipped are only drawn: nothing is read for them.

    Args:
        batches: a batch sampler that starts from its beginning whenever it is iterated anew.
        endless: go on with the next pass over the data where one ends, for loops that count iterations.

    Attributes:
        first: iteration of the next pass' first batch.
        skip: how many of its batches to leave out.
    """

    def __init__(self, batches: Any, *, endless: bool) -> None:
        self.batches = batches
        self.first = self.skip = 0
        self._endless = endless

    @property
    def sampler(self) -> Any:
        """The sampler of indices, which MMEngine tells the epoch."""
        return self.batches.sampler

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[Any, int, int]]]:
        """Batches as lists of (index, iteration, place in the batch)."""
        every = itertools.chain.from_iterable(self._passes()) if self._endless else iter(self.batches)
        left = itertools.islice(every, self.skip, None)
        for iteration, batch in enumerate(left, start=self.first + self.skip):
            yield [(index, iteration, place) for place, index in enumerate(batch)]

    def _passes(self) -> Iterator[Any]:
        for number in itertools.count():
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(number)
            yield self.batches


def numbered_loader(
    old: DataLoader, settings: Any, *, seed: int, fetch_seed: int, rank: int, endless: bool
) -> tuple[DataLoader, NumberedBatches]:
    """A loader of the same data in the same order, from the start.

    The samplers are built anew, because MMEngine's may have been seeded before the seed was known (it reads
    the seed of a resumed run from the checkpoint, later) and may have been drawn from.

    Args:
        old: MMEngine's loader.
        settings: the config it was built from.
        seed: of the samplers, the same in all processes.
        fetch_seed: of the samples.
        rank: of the process.
        endless: as for ``NumberedBatches``.

    Raises:
        ConfigError: if there is no config, or the data come as a stream.
    """
    if not isinstance(settings, Mapping) or isinstance(old.dataset, IterableDataset):
        found = type(settings if not isinstance(settings, Mapping) else old.dataset).__name__
        expected = 'a config with a data set that has indices'
        raise ConfigError(key='train_dataloader', value=found, expected=expected)
    dataset: Any = old.dataset
    # as MMEngine builds them
    sampler = DATA_SAMPLERS.build(settings['sampler'], default_args=dict(dataset=dataset, seed=seed))
    size, custom = settings.get('batch_size', 1), settings.get('batch_sampler')
    if custom is None:
        batches = BatchSampler(sampler, batch_size=size, drop_last=settings.get('drop_last', False))
    else:
        batches = DATA_SAMPLERS.build(custom, default_args=dict(sampler=sampler, batch_size=size))
    numbered = NumberedBatches(batches, endless=endless)
    dataset.__getitems__ = partial(fetch_seeded, dataset=dataset, seed=fetch_seed, rank=rank)
    kept = {name: getattr(old, name) for name in _KEPT}
    return DataLoader(dataset, batch_sampler=numbered, **kept), numbered


def begin_after(loader: DataLoader, done: int) -> Iterator[Any]:
    """``done`` times nothing, which MMEngine throws away as trained on already, then the batches."""
    yield from itertools.repeat(None, done)
    yield from loader


def seed_step(seed: int, iteration: int) -> None:
    """Seed Python, NumPy and torch (CPU and GPUs) for one training step: dropout, sampled proposals.

    Args:
        seed: of the run.
        iteration: counted from 0.
    """
    torch_seed = _seed_host(seed, iteration)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(torch_seed)


def fetch_seeded(
    numbered: Sequence[tuple[Any, int, int]], *, dataset: Any, seed: int, rank: int
) -> list[Any]:
    """The samples of a batch, each drawn from a seed of its own.

    The data loader finds it as ``dataset.__getitems__``, torch's protocol for fetching a batch at once. What
    a sample looks like then depends neither on the worker that draws it nor on what was drawn before.

    Args:
        numbered: (index, iteration, place in the batch) of each.
        dataset: where samples come from.
        seed: of the run.
        rank: of the process.
    """
    samples = []
    for index, iteration, place in numbered:
        # a last word that is not 0 keeps these seeds apart from those of the steps
        _seed_host(seed, iteration, rank, place + 1)
        samples.append(dataset[index])
    return samples


def _seed_host(*key: int) -> int:
    """Seed Python, NumPy and torch with 64 bits each, from whole numbers from 0 up; gives torch's seed."""
    words = [int(word) for word in np.random.SeedSequence(key).generate_state(6)]
    random.seed(words[0] << 32 | words[1])
    np.random.seed(words[2:4])
    torch_seed = words[4] << 32 | words[5]
    # torch.manual_seed does more: it would start the GPUs in a data worker, and is slow where there are none
    torch.default_generator.manual_seed(torch_seed)
    return torch_seed
