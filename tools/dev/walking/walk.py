"""Swapping and proving every config that the four packages ship; no config can end the walk."""

from __future__ import annotations

import copy
import hashlib
import logging
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

import torch
from mmengine.config import Config

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.errors import ConfigError, one_line
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.swap import SwapRefused, SwapRequest
from hrnet_mm.swap.backbones import drop_weights
from hrnet_mm.swap.inputs import random_inputs, transforms_of
from hrnet_mm.swap.overlay import overlay
from hrnet_mm.swap.proof import ProofFailed, prove
from hrnet_mm.swap.swapping import read_source, swapped

from .outcomes import Outcome, has_exchangeable_cnn

_LIMIT_S = 300.0
_REPORT_S = 20.0
_MEMORY = 8 * 2**30  # bytes: more than any small image needs; a runaway allocation fails, not the machine
_JOBS_PER_PROCESS = 200  # memory leaks

#: Transforms of training that decide what the random inputs look like, by parts of their names.
_OF_INPUTS = ('GenerateTarget', 'SegRescale', 'Annotations', 'Panoptic')

Job = Callable[[str, SwapRequest], Outcome]


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
    progress: bool = False,
) -> list[Outcome]:
    """Swap every config, then prove one of all those whose models are equal.

    Args:
        names: The configs.
        request: What to put in.
        workers: Processes that work at a time.
        limit_s: Seconds that one swap or one proof may take; then its process ends and it has failed.
        progress: Tell on stderr how far it is.

    Returns:
        An outcome for each name, in order.
    """
    crew = _Crew(request, limit_s=limit_s, progress=progress)
    with ThreadPoolExecutor(max(1, workers)) as threads:
        swaps = crew.work(threads, try_swap, names)
        first = {o.key: o.name for o in reversed(swaps) if o.kind == 'swapped'}
        verdicts = dict(zip(first, crew.work(threads, try_proof, list(first.values())), strict=True))
    return [
        replace(verdicts[o.key], name=o.name, key=o.key, is_cnn=o.is_cnn) if o.kind == 'swapped' else o
        for o in swaps
    ]


def try_swap(name: str, request: SwapRequest) -> Outcome:
    """What the swap makes of a config, without its proof."""
    is_cnn = False
    try:
        source = read_source(name)
        is_cnn = has_exchangeable_cnn(source.cfg.model)
        cfg = swapped(source, request)
        overlay(source.cfg.to_dict(), cfg.to_dict())
        return Outcome(name, 'swapped', key=proof_key(cfg), is_cnn=is_cnn)
    except SwapRefused as refusal:
        return Outcome(name, 'refused', part=refusal.part, reason=refusal.reason, is_cnn=is_cnn)
    except ConfigError as error:
        return Outcome(name, 'unreadable', part=error.key, reason=error.expected)
    except Exception as error:  # a fault of ours, to be seen on the page
        return Outcome(name, 'failed', part='swap', reason=one_line(error), is_cnn=is_cnn)


def proof_key(cfg: Config) -> str:
    """A fingerprint of everything that decides a proof: configs with the same one are proven together."""
    cfg = copy.deepcopy(cfg)
    inputs = random_inputs(cfg)
    size = inputs.sizes()[0]
    inputs.prepare(size)
    drop_weights(cfg.model)
    steps = [step for step in transforms_of(cfg) if any(part in step['type'] for part in _OF_INPUTS)]
    beside = [cfg.get(key) for key in ('default_scope', 'data_preprocessor', 'codec')]
    return hashlib.sha256(repr((size, cfg.model, steps, beside)).encode()).hexdigest()


def try_proof(name: str, request: SwapRequest) -> Outcome:
    """Whether the swapped model works: it is no fault of the swap's if the old one fails alike."""
    source = read_source(name)
    try:
        prove(swapped(source, request))
    except ProofFailed as error:
        try:
            prove(source.cfg)
        except ProofFailed as before:
            if before.no_later_than(error):  # memory that a package leaves unwritten may fail it even earlier
                reason = f'it does not run even with its own backbone ({before})'
                return Outcome(name, 'refused', part='model', reason=reason)
        return Outcome(name, 'failed', part=error.step, reason=error.error)
    return Outcome(name, 'proven')


@dataclass
class _Crew:
    """Threads with a process each, which does one job at a time and may die of it."""

    request: SwapRequest
    limit_s: float
    progress: bool
    _own: threading.local = field(default_factory=threading.local)

    def work(self, threads: ThreadPoolExecutor, job: Job, names: Sequence[str]) -> list[Outcome]:
        """A job for every name, in order."""
        began = told = time.monotonic()
        outcomes: list[Outcome] = []
        for outcome in threads.map(lambda name: self._attempt(job, name), names):
            outcomes.append(outcome)
            done, now = len(outcomes), time.monotonic()
            if self.progress and outcome.kind == 'failed':
                _say(f'failed: {outcome.name}: {outcome.part}: {outcome.reason}')
            if self.progress and (now - told > _REPORT_S or done == len(names)):
                told, left = now, (now - began) / done * (len(names) - done) / 60
                _say(f'{job.__name__}: {done} of {len(names)}, {left:.0f} min left')
        return outcomes

    def _attempt(self, job: Job, name: str) -> Outcome:
        own = self._own
        if getattr(own, 'jobs_left', 0) == 0:
            own.pool = ProcessPoolExecutor(1, mp_context=get_context('spawn'), initializer=_settle)
            own.jobs_left = _JOBS_PER_PROCESS
            own.pool.submit(int).result()  # it has started
        own.jobs_left -= 1
        began = time.monotonic()
        try:
            return own.pool.submit(_in_time, job, name, self.request, self.limit_s).result()
        except BrokenProcessPool:
            own.jobs_left = 0
            if time.monotonic() - began >= self.limit_s:
                return Outcome(name, 'failed', part='time', reason=f'over {self.limit_s:g} s')
            return Outcome(name, 'failed', part='process', reason='it died')
        finally:
            if own.jobs_left == 0:
                own.pool.shutdown()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _settle() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)


def _in_time(job: Job, name: str, request: SwapRequest, limit_s: float) -> Outcome:
    signal.setitimer(signal.ITIMER_REAL, limit_s)  # ends the process, whatever it is doing
    try:
        return job(name, request)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
