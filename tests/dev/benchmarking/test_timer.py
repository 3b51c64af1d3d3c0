"""Rounds and their statistics on a clock that only jobs and rests move."""

from __future__ import annotations

import pytest
from benchmarking.timer import Clock, Samples, seconds_of, time_in_rounds


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
    jobs = {'a': fake.job('a', 9.0, 9.0, 1.0, 2.0, 4.0), 'b': fake.job('b', 0.5), 'c': fake.job('c', 1.0)}
    found = time_in_rounds(jobs, rounds=3, clock=fake.clock())
    assert fake.events[:6] == list('aabbcc')  # to warm up
    assert fake.events[7::2] == list('abcbcacab')
    assert fake.events[6::2] == ['rest'] * 9  # before every turn
    assert found['a'].seconds == pytest.approx((1.0, 2.0, 4.0))
    assert (found['a'].median, *found['a'].quartiles) == pytest.approx((2.0, 1.5, 3.0))
    assert found['b'].seconds == pytest.approx((0.5,) * 3)


def test_quick_jobs_share_a_turn() -> None:
    fake, turns = FakeTime(), []
    jobs = {'quick': fake.job('quick', 0.03), 'slow': fake.job('slow', 3.0)}
    found = time_in_rounds(jobs, rounds=2, clock=fake.clock(), on_turn=lambda: turns.append(fake.events[-1]))
    assert (found['quick'].runs, found['slow'].runs) == (4, 1)  # 4 times 0.03 is at least 0.1
    assert fake.events.count('quick') == 2 + 8
    assert found['quick'].seconds == pytest.approx((0.03, 0.03))
    assert turns == ['quick', 'slow', 'slow', 'quick']


def test_the_device_is_waited_for_before_and_after_every_run() -> None:
    fake = FakeTime()
    job = fake.job('a', 1.0)
    assert seconds_of(job, clock=fake.clock(wait=0.25), runs=4) == pytest.approx(1.25)
    assert fake.now == pytest.approx(100 + 0.25 + 4 * 1.25)


def test_one_round_has_quartiles_too() -> None:
    assert Samples((7.0,)).quartiles == (7.0, 7.0)
