"""Interleaved rounds: a load that comes and goes, or a processor that warms up, meets all contestants."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import torch

#: A turn lasts at least this many seconds: a quick contestant runs several times in it.
SHORTEST_TURN = 0.1
#: Seconds of rest before a turn, in which the threads of the one before stop spinning.
REST = 0.02

Job = Callable[[], Any]


@dataclass(frozen=True)
class Clock:
    """Where time comes from: ``wait`` ends when the device is done, and comes before each look at ``now``."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, device: str) -> Clock:
        """The clock of ``'cpu'`` or ``'cuda'``."""
        return cls(wait=torch.cuda.synchronize) if device == 'cuda' else cls()


@dataclass(frozen=True)
class Samples:
    """Seconds of one run, one number per round, each the mean of ``runs`` runs in a turn."""

    seconds: tuple[float, ...]
    runs: int = 1

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the rounds took at most, and at least, so long; interpolated."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        first, _, third = quantiles(self.seconds, n=4, method='inclusive')
        return first, third


def seconds_of(job: Job, *, clock: Clock, runs: int = 1) -> float:
    """Seconds of one run, as the mean of some, each waited for."""
    clock.wait()
    start = clock.now()
    for _ in range(runs):
        job()
        clock.wait()
    return (clock.now() - start) / runs


def time_in_rounds(
    jobs: Mapping[str, Job], *, rounds: int, clock: Clock, on_turn: Job = lambda: None
) -> dict[str, Samples]:
    """Run every job once per round, each round beginning with the next one, after two runs to warm up.

    Args:
        jobs: What to time, by name.
        rounds: How often.
        clock: Where time comes from.
        on_turn: Called after each turn.
    """
    warm = {name: min(seconds_of(job, clock=clock) for _ in range(2)) for name, job in jobs.items()}
    runs = {name: max(1, math.ceil(SHORTEST_TURN / max(seconds, 1e-9))) for name, seconds in warm.items()}
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds):
        start = number % len(jobs)
        for name in [*list(jobs)[start:], *list(jobs)[:start]]:
            clock.sleep(REST)
            taken[name].append(seconds_of(jobs[name], clock=clock, runs=runs[name]))
            on_turn()
    return {name: Samples(tuple(seconds), runs[name]) for name, seconds in taken.items()}
