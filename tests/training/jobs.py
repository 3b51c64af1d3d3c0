"""Jobs of two gloo processes, forked from the tests, whose imports they need not repeat."""

from __future__ import annotations

import os
import runpy
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from children import Child
from forked import Trial

TESTS = Path(__file__).resolve().parents[1]

SECONDS = 120


def torch_place(rank: int, port: int) -> dict[str, str]:
    """What torchrun sets in a job of two."""
    return {
        'RANK': str(rank),
        'LOCAL_RANK': str(rank),
        'WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def pair(work: Callable[[], Any]) -> list[Any]:
    """Results of ``work`` on two processes, the first one's first."""
    port = free_port()

    def placed(rank: int) -> Any:
        os.environ.update(torch_place(rank, port))
        return work()

    children = [Child(lambda rank=rank: placed(rank)) for rank in range(2)]
    return [child.result(seconds=SECONDS) for child in children]


def tool(script: str, *arguments: object, place: Mapping[str, str], at: Path, log: Path) -> Trial:
    """One process of ``tools/<script>``; its log ends in ``exit code N``."""
    path = TESTS.parent / 'tools' / script

    def task() -> None:
        os.environ.update(place)
        os.chdir(at)
        sys.argv = [str(path), *map(str, arguments)]
        code: object = 0
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as end:
            code = end.code
        print(f'exit code {code}', flush=True)

    return Trial(task, log=log)


def train_job(config: object, *options: str, name: str, at: Sequence[Path]) -> list[Trial]:
    """``tools/train.py`` on two processes, each in its folder; ``name`` is of logs and ``--work-dir``."""
    port = free_port()
    arguments = (config, '--launcher', 'pytorch', '--work-dir', name)
    more = ('--cfg-options', *options) if options else ()
    return [
        tool(
            'train.py',
            *arguments,
            *more,
            place=torch_place(rank, port),
            at=folder,
            log=at[0] / f'{name}{rank}',
        )
        for rank, folder in enumerate(at)
    ]


def errors(*logs: str) -> list[str]:
    """All that the processes of a job said to their user."""
    return [line for log in logs for line in log.splitlines() if line.startswith('error: ')]
