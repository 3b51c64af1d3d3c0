"""Mistakes in a job of several processes: all hear of them, and one says them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from mmengine.dist import all_gather_object, get_world_size
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from ..checkpoints import CheckpointError
from ..config.errors import ConfigError

Found = TypeVar('Found')

_ADDRESS = ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
_PATIENCE = 5.0  # seconds that a process which is about to end waits for the others, at most


def agreed(check: Callable[[], Found]) -> Found:
    """Run a check on every process of the group; what one refuses, all refuse.

    Returns:
        What the check found on this process.

    Raises:
        ConfigError, CheckpointError: the first process's that has one.
    """
    if get_world_size() == 1:
        return check()
    outcome: Found | Exception
    try:
        outcome = check()
    except (ConfigError, CheckpointError) as error:
        outcome = error
    refused = outcome if isinstance(outcome, Exception) else None
    for refusal in all_gather_object(refused):
        if refusal is not None:
            raise refusal from refused
    return outcome  # type: ignore[return-value]


def first_to_say(topic: str) -> bool:
    """Whether this process of the job is the first that asks; True also where nobody can be asked.

    It works before there is a process group and after that broke, by the store that the processes meet at:
    torchrun's own, or else the first process's, which waits until all have asked.

    Args:
        topic: what is to be said once.
    """
    place = {name: os.environ.get(name, '') for name in _ADDRESS}
    if not all(place.values()) or int(place['WORLD_SIZE']) < 2:
        return True
    hosts = int(place['RANK']) == 0 and os.environ.get('TORCHELASTIC_USE_AGENT_STORE') != 'True'
    try:
        store = TCPStore(
            place['MASTER_ADDR'],
            int(place['MASTER_PORT']),
            is_master=hosts,
            wait_for_workers=False,
            timeout=timedelta(seconds=_PATIENCE),
            multi_tenant=True,
        )
        first = store.add(topic, 1) == 1
        if hosts:
            _wait_for_all(store, topic, int(place['WORLD_SIZE']))
    except (RuntimeError, ValueError):  # torch's DistError is a RuntimeError
        return True
    return first


def _wait_for_all(store: TCPStore, topic: str, processes: int) -> None:
    end = time.monotonic() + _PATIENCE
    while store.add(topic, 0) < processes and time.monotonic() < end:
        time.sleep(0.05)
