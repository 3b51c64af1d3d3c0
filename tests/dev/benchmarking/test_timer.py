"""Rounds and their statistics on a clock that only jobs and rests move."""

from __future__ import annotations

import statistics

import pytest
from benchmarking.timer import (
    REST,
    SHORTEST_TURN,
    Clock,
    Samples,
    order_of,
    quartiles,
    ratio,
    runs_per_turn,
    seconds_of,
    time_in_rounds,
)


class FakeTime:
    """Time passes when something says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.events: list[str] = []

    def clock(self, wait: float = 0.0) -> Clock:
        return Clock(now=lambda: self.now, sleep=self._sleep, wait=lambda: self._pass(wait))

    def job(self, name: str, *seconds: float):
        """Take these times one after the other, the last one for ever."""
        left = list(seconds)

        def run() -> None:
            self.events.append(name)
            self._pass(left.pop(0) if len(left) > 1 else left[0])

        return run

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def _sleep(self, seconds: float) -> None:
        self.events.append('rest')
        self._pass(seconds)


def test_rounds_are_interleaved_and_each_begins_with_the_next() -> None:
    fake = FakeTime()
    jobs = {name: fake.job(name, 1.0) for name in 'abc'}
    time_in_rounds(jobs, rounds=4, expected=dict.fromkeys(jobs, 1.0), clock=fake.clock())
    assert [event for event in fake.events if event != 'rest'] == list('abcbcacababc')
    assert fake.events[::2] == ['rest'] * 12  # before every turn
    assert order_of(['x'], 5) == ['x']


def test_samples_are_the_jobs_times_without_the_rests() -> None:
    fake = FakeTime()
    jobs = {'a': fake.job('a', 1.0, 2.0, 4.0), 'b': fake.job('b', 0.5)}
    found = time_in_rounds(jobs, rounds=3, expected={'a': 1.0, 'b': 0.5}, clock=fake.clock())
    assert found['a'].seconds == pytest.approx((1.0, 2.0, 4.0))
    assert found['a'].median == pytest.approx(2.0)
    assert found['a'].quartiles == pytest.approx((1.5, 3.0))
    assert found['b'].seconds == pytest.approx((0.5,) * 3)
    assert REST > 0


def test_quick_jobs_share_a_turn() -> None:
    fake = FakeTime()
    jobs = {'quick': fake.job('quick', 0.03), 'slow': fake.job('slow', 3.0)}
    turns = []
    found = time_in_rounds(
        jobs,
        rounds=2,
        expected={'quick': 0.03, 'slow': 3.0},
        clock=fake.clock(),
        on_turn=lambda name, seconds: turns.append((name, seconds)),
    )
    assert (found['quick'].runs, found['slow'].runs) == (4, 1)  # 4 times 0.03 is at least 0.1
    assert fake.events.count('quick') == 8
    assert found['quick'].seconds == pytest.approx((0.03, 0.03))
    assert [name for name, _ in turns] == ['quick', 'slow', 'slow', 'quick']
    assert sum(seconds for _, seconds in turns) == pytest.approx(2 * (4 * 0.03 + 3.0))
    assert runs_per_turn(SHORTEST_TURN) == runs_per_turn(10.0) == 1


def test_the_device_is_waited_for_after_every_run() -> None:
    fake = FakeTime()
    job = fake.job('a', 1.0)
    assert seconds_of(job, clock=fake.clock(wait=0.25), runs=4) == pytest.approx(1.25)


def test_ratios_pair_rounds_with_themselves() -> None:
    """A load that doubles everybody's time in a round leaves the ratio alone."""
    slow, fast = Samples((2.0, 4.0, 2.0), 1), Samples((1.0, 2.0, 1.0), 1)
    found = ratio(slow, fast)
    assert (found.value, found.first, found.third) == (2.0, 2.0, 2.0)
    shaken = ratio(Samples((2.0, 3.0, 4.0), 1), Samples((1.0, 1.0, 1.0), 1))
    assert (shaken.value, shaken.first, shaken.third) == (3.0, 2.5, 3.5)


def test_quartiles_are_those_of_the_library_and_exist_for_one_value() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0]
    first, _, third = statistics.quantiles(values, n=4, method='inclusive')
    assert quartiles(values) == (first, third)
    assert quartiles([7.0]) == (7.0, 7.0)
