"""Faulty samples counted by many processes at once."""

from __future__ import annotations

import copy

from children import Child

from hrnet_mm.data.guard import FaultCounter

KIND = 'truncated image'
EACH, PROCESSES = 5000, 4


def test_processes_count_together_and_one_is_first() -> None:
    ledger = FaultCounter()
    children = [Child(lambda: sum(ledger.count(KIND) for _ in range(EACH))) for _ in range(PROCESSES)]
    assert sum(child.result(seconds=60) for child in children) == 1
    assert ledger.counts() == {KIND: EACH * PROCESSES}


def test_a_copy_counts_on_the_same_list() -> None:
    ledger = FaultCounter()
    assert copy.deepcopy({'pipeline': ledger})['pipeline'].count(KIND)
    assert not ledger.count(KIND)
