"""Swapping and proving every config that the four packages ship."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import cast

from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.swap.request import SwapRequest

from .outcomes import Kind, Outcome
from .worker import Answer, Order, Worker

_LIMIT_S = 300.0
_REPORT_S = 20.0


def shipped_configs(package: str) -> list[str]:
    """Names of all configs that a package ships: every ``.py`` under its configs' folder, bases left out."""
    folder = shipped_configs_folder(package)
    paths = (path.relative_to(folder) for path in folder.rglob('*.py'))
    return sorted(f'{package}::{path.as_posix()}' for path in paths if '_base_' not in path.parts)


def names_to_walk(packages: Iterable[str] = tuple(CODEBASES), *, tenth: bool = False) -> list[str]:
    """The configs of a walk; with ``tenth`` every tenth of them.

    Names are sorted and begin with a model family's folder, so that large families occur for certain.
    """
    names = [name for package in packages for name in shipped_configs(package)]
    return names[::10] if tenth else names


def walk(
    names: Sequence[str],
    request: SwapRequest,
    *,
    workers: int = 2,
    limit_s: float = _LIMIT_S,
    known: Iterable[str] = (),
    progress: bool = False,
) -> list[Outcome]:
    """Swap every config and prove every distinct model that results.

    Args:
        names: The configs.
        request: What to put in.
        workers: Processes that work at a time.
        limit_s: Seconds that one swap or one proof may take; then its process is ended and it has failed.
        known: Fingerprints of models that an earlier walk has proven.
        progress: Tell on stderr how far it is.

    Returns:
        An outcome for each name, in order. No config can end the walk.
    """
    state = _Walk(todo=deque(names), verdicts={key: Answer('proven') for key in known}, progress=progress)
    crew = [Worker(request, limit_s=limit_s) for _ in range(max(1, workers))]
    try:
        while state.todo or any(worker.order for worker in crew):
            for worker in crew:
                if worker.order is None and state.todo:
                    worker.ask(Order('swap', state.todo.popleft()))
            _collect(crew, state)
    finally:
        for worker in crew:
            worker.stop()
    return [state.outcomes[name] for name in names]


@dataclass
class _Walk:
    """How far a walk is.

    Attributes:
        todo: Names nobody has begun.
        verdicts: Fingerprint of a model -> what its proof said.
        waiting: Fingerprint of a model being proven -> the swaps that wait for it.
        outcomes: What is known.
    """

    todo: deque[str]
    verdicts: dict[str, Answer]
    progress: bool
    waiting: dict[str, list[tuple[str, Answer]]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def record(self, name: str, swap: Answer, verdict: Answer) -> None:
        """Note what became of a config and, now and then, say how far all are."""
        self.outcomes[name] = Outcome(
            name=name,
            kind=cast(Kind, verdict.kind),
            part=verdict.part,
            reason=verdict.reason,
            key=swap.key,
            is_cnn=swap.is_cnn,
        )
        if verdict.kind == 'failed' and self.progress:
            print(f'failed: {name}: {verdict.part}: {verdict.reason}', file=sys.stderr, flush=True)
        if self.progress and (time.monotonic() - self.told > _REPORT_S or not self.todo):
            self.told = time.monotonic()
            self._tell()

    def _tell(self) -> None:
        done, spent = len(self.outcomes), time.monotonic() - self.began
        total = done + len(self.todo) + sum(map(len, self.waiting.values()))
        left = spent / done * (total - done) / 60
        failed = sum(outcome.kind == 'failed' for outcome in self.outcomes.values())
        print(f'{done} of {total} configs, {failed} failed, {left:.0f} min left', file=sys.stderr, flush=True)


def _collect(crew: Sequence[Worker], state: _Walk) -> None:
    """Wait until somebody has answered, died or run out of time, and go on from there."""
    busy = [worker for worker in crew if worker.order is not None]
    ready = wait([worker.connection for worker in busy], timeout=min(w.seconds_left for w in busy) + 0.1)
    for worker in busy:
        order = worker.order
        assert order is not None
        if worker.connection in ready:
            answer = worker.receive()
            if answer is not None:
                _go_on(worker, order, answer, state)
        elif worker.seconds_left == 0:
            limit = worker.limit_s
            worker.stop()
            _go_on(worker, order, Answer('failed', part='time', reason=f'over {limit:g} s'), state)


def _go_on(worker: Worker, order: Order, answer: Answer, state: _Walk) -> None:
    if order.verb == 'prove':
        key = order.name
        state.verdicts[key] = answer
        for name, swap in state.waiting.pop(key):
            state.record(name, swap, answer)
    elif answer.kind != 'swapped':
        state.record(order.name, answer, answer)
    elif answer.key in state.verdicts:
        state.record(order.name, answer, state.verdicts[answer.key])
    else:
        swaps = state.waiting.setdefault(answer.key, [])
        swaps.append((order.name, answer))
        if len(swaps) == 1:
            worker.ask(Order('prove', answer.key))


def packages_of(outcomes: Iterable[Outcome]) -> Mapping[str, list[Outcome]]:
    """Outcomes by the package that ships the config."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.package, []).append(outcome)
    return groups
