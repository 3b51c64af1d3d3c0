"""A train data loader whose batches know their iteration, and which can begin at any of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler

from ..config.errors import ConfigError
from .randomness import SeededFetch

#: What the new loader takes over from MMEngine's.
_KEPT = (
    'num_workers',
    'collate_fn',
    'pin_memory',
    'timeout',
    'worker_init_fn',
    'multiprocessing_context',
    'generator',
    'prefetch_factor',
    'persistent_workers',
)


class NumberedBatches(Sampler):
    """The batches of another batch sampler, with the iteration that trains on them.

    Batches that are skipped are only drawn: nothing is read for them.

    Args:
        batches: a batch sampler that starts from its beginning whenever it is iterated anew.
        endless: go on with the next pass over the data where one ends, for loops that count iterations.
    """

    def __init__(self, batches: Any, *, endless: bool) -> None:
        self.batches = batches
        self._endless = endless
        self._first = 0
        self._skip = 0

    @property
    def sampler(self) -> Any:
        """The sampler of indices, which MMEngine tells the epoch."""
        return self.batches.sampler

    def start(self, *, first: int, skip: int) -> None:
        """Say what the next pass begins with.

        Args:
            first: iteration of the pass' first batch.
            skip: how many batches to leave out.
        """
        self._first = first
        self._skip = skip

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[Any, int, int]]]:
        """Batches as lists of (index, iteration, place in the batch)."""
        every = itertools.chain.from_iterable(self._passes()) if self._endless else iter(self.batches)
        begin = self._first + self._skip
        for iteration, batch in enumerate(itertools.islice(every, self._skip, None), start=begin):
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
        raise ConfigError(
            key='train_dataloader', value=found, expected='a config with a data set that has indices'
        )
    dataset: Any = old.dataset
    numbered = NumberedBatches(_batches(settings, dataset, seed=seed), endless=endless)
    dataset.__getitems__ = SeededFetch(dataset, seed=fetch_seed, rank=rank)
    kept = {name: getattr(old, name) for name in _KEPT}
    return DataLoader(dataset, batch_sampler=numbered, **kept), numbered


def begin_after(loader: DataLoader, done: int) -> Iterator[Any]:
    """``done`` times nothing, which MMEngine throws away as trained on already, then the batches."""
    yield from itertools.repeat(None, done)
    yield from loader


def _batches(settings: Mapping[str, Any], dataset: Any, *, seed: int) -> Any:
    """The batch sampler of a ``train_dataloader``, as MMEngine builds it."""
    sampler = DATA_SAMPLERS.build(settings['sampler'], default_args=dict(dataset=dataset, seed=seed))
    size = settings.get('batch_size', 1)
    custom = settings.get('batch_sampler')
    if custom is not None:
        return DATA_SAMPLERS.build(custom, default_args=dict(sampler=sampler, batch_size=size))
    return BatchSampler(sampler, batch_size=size, drop_last=settings.get('drop_last', False))
