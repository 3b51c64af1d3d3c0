"""Chance as a function of where training is, so that there is no state of it to save."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def seed_step(seed: int, iteration: int) -> None:
    """Seed Python, NumPy and torch (CPU and GPUs) for one training step: dropout, sampled proposals.

    Args:
        seed: of the run.
        iteration: counted from 0.
    """
    python, numpy, words = _words(seed, iteration)
    _seed_host(python, numpy, words)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(words)


class SeededFetch:
    """Fetches the samples of a batch, each drawn from a seed of its own.

    The data loader finds it as ``dataset.__getitems__``, torch's protocol for fetching a batch at once. What
    a sample looks like then depends neither on the worker that draws it nor on what was drawn before.

    Args:
        dataset: where samples come from.
        seed: of the run.
        rank: of the process.
    """

    def __init__(self, dataset: Any, *, seed: int, rank: int) -> None:
        self._dataset = dataset
        self._seed = seed
        self._rank = rank

    def __call__(self, numbered: Sequence[tuple[Any, int, int]]) -> list[Any]:
        """Samples of (index, iteration, place in the batch)."""
        return [self._sample(*number) for number in numbered]

    def _sample(self, index: Any, iteration: int, place: int) -> Any:
        # A last word that is not 0 keeps these seeds apart from those of the steps.
        _seed_host(*_words(self._seed, iteration, self._rank, place + 1))
        return self._dataset[index]


def _seed_host(python: int, numpy: list[int], words: int) -> None:
    random.seed(python)
    np.random.seed(numpy)
    # torch.manual_seed does more: it would start the GPUs in a data worker, and is slow where there are none
    torch.default_generator.manual_seed(words)


def _words(*key: int) -> tuple[int, list[int], int]:
    """64 bits each for Python, NumPy (in two words) and torch, from whole numbers of at least 0."""
    words = [int(word) for word in np.random.SeedSequence(key).generate_state(6)]
    return words[0] << 32 | words[1], words[2:4], words[4] << 32 | words[5]
