"""Interleaved rounds: a load that comes and goes, or a processor that warms up, meets all contestants."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

#: A turn lasts at least this long: a quick contestant runs several times in it.
SHORTEST_TURN = 0.1
#: Seconds of rest before a turn, in which the threads of the one before stop spinning.
REST = 0.02

Job = Callable[[], Any]


@dataclass(frozen=True)
class Clock:
    """Where time comes from.

    Attributes:
        now: seconds since whenever.
        sleep: wait for so many seconds.
        wait: wait until the device is done; called before every look at ``now``.
    """

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    wait: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Samples:
    """Seconds of one run, one number per round.

    Attributes:
        seconds: in the order of the rounds; each the mean of ``runs`` runs.
        runs: how many runs share a turn.
    """

    seconds: tuple[float, ...]
    runs: int

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the rounds took at most, and at least, so long."""
        return quartiles(self.seconds)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile, interpolated."""
    if len(values) == 1:
        return values[0], values[0]
    first, _, third = quantiles(values, n=4, method='inclusive')
    return first, third


@dataclass(frozen=True)
class Ratio:
    """How much longer one contestant takes than another.

    Attributes:
        value: the ratio of the medians.
        first: a quarter of the rounds gave at most this ratio.
        third: a quarter of the rounds gave at least this ratio.
    """

    value: float
    first: float
    third: float


def ratio(slower: Samples, faster: Samples) -> Ratio:
    """``slower`` over ``faster``; rounds are compared with themselves for the spread."""
    pairs = [a / b for a, b in zip(slower.seconds, faster.seconds, strict=True)]
    return Ratio(slower.median / faster.median, *quartiles(pairs))


def order_of(names: Sequence[str], number: int) -> list[str]:
    """Who runs when in a round: each round begins with the next contestant."""
    start = number % len(names)
    return [*names[start:], *names[:start]]


def runs_per_turn(seconds: float, *, shortest: float = SHORTEST_TURN) -> int:
    """How many runs of so many seconds fill a turn."""
    return max(1, math.ceil(shortest / max(seconds, 1e-9)))


def seconds_of(job: Job, *, clock: Clock, runs: int = 1) -> float:
    """Seconds of one run, as the mean of some, each waited for."""
    clock.wait()
    start = clock.now()
    for _ in range(runs):
        job()
        clock.wait()
    return (clock.now() - start) / runs


def time_in_rounds(
    jobs: Mapping[str, Job],
    *,
    rounds: int,
    expected: Mapping[str, float],
    clock: Clock | None = None,
    on_turn: Callable[[str, float], None] = lambda name, seconds: None,
) -> dict[str, Samples]:
    """Run every job once per round.

    Args:
        jobs: what to time, by name, warmed up.
        rounds: how often.
        expected: seconds of one run, which decide how many runs fill a turn.
        clock: where time comes from.
        on_turn: told who has run and how long the turn was expected to take.
    """
    clock = clock or Clock()
    runs = {name: runs_per_turn(expected[name]) for name in jobs}
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name in order_of(list(jobs), number):
            clock.sleep(REST)
            taken[name].append(seconds_of(jobs[name], clock=clock, runs=runs[name]))
            on_turn(name, runs[name] * expected[name])
    return {name: Samples(tuple(seconds), runs[name]) for name, seconds in taken.items()}
