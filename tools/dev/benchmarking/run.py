"""From a request to a report: build, check, count, time, and ask for memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial

import torch
from mmengine.registry import DefaultScope
from tqdm import tqdm

from hrnet_mm.config.errors import ConfigError, one_line
from hrnet_mm.utils import quiet

from .agreement import Truth, require_agreement
from .alone import peak_alone
from .contestants import Contestant, make_contestant, makers_of
from .counting import macs_of
from .lively import require_lively
from .machine import describe_machine, versions
from .matches import Entrant, Match, make_match
from .memory import peak_of_tensors
from .rate import Rate, machine_rate
from .request import Request
from .results import MatchResult, Report, Row
from .timer import Clock, Samples, runs_per_turn, seconds_of, time_in_rounds

_WARM_UP = 2  # runs, after those of the check


def benchmark(request: Request, *, command: str = '', progress: bool = False) -> Report:
    """Run it.

    Args:
        request: what to measure.
        command: how it was asked for, to be kept with the results.
        progress: show bars with the time that remains.

    Raises:
        ConfigError: if a contestant cannot be built or run.
        Disagreement: if contestants do not compute the same; nothing is timed then.
    """
    started = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M')
    machine = describe_machine(request.device)
    with settings(request):
        clock = clock_of(request)
        rate = machine_rate(device=request.device, precision=request.precision, clock=clock)
        matches = tuple(run_match(request, name, rate, progress=progress) for name in request.matches)
    return Report(request, machine, versions(), rate, matches, started, command)


@contextmanager
def settings(request: Request) -> Iterator[None]:
    """Threads as asked for, and the compiler free to fold weights in inference."""
    from torch._inductor import config as inductor

    threads = torch.get_num_threads()
    torch.set_num_threads(request.threads)
    try:
        with inductor.patch(freezing=not request.training):
            yield
    finally:
        torch.set_num_threads(threads)


def clock_of(request: Request) -> Clock:
    """A clock that waits for the device."""
    return Clock(wait=torch.cuda.synchronize) if request.device == 'cuda' else Clock()


def run_match(request: Request, name: str, rate: Rate, *, progress: bool) -> MatchResult:
    """Ours against one peer."""
    torch._dynamo.reset()  # what was compiled for the match before
    with quiet():
        match = make_match(request, name)
        with DefaultScope.overwrite_default_scope(match.scope):
            _require_lively(match, request)
            contestants, errors = _prepared(match, request, progress=progress)
            macs = {
                entrant.name: macs_of(entrant, match, request)
                for entrant in (match.peer, match.ours, *match.marks)
            }
            samples = _timed(contestants, request, name, progress=progress)
            peaks = _peaks(contestants, name, request, progress=progress)
    return MatchResult(
        name,
        tuple(
            Row(
                name=c.name,
                is_ours=c.is_ours,
                samples=samples[c.name],
                macs=macs[c.entrant],
                share=macs[c.entrant] / samples[c.name].median / rate.macs_per_second,
                peak=peaks[c.name],
                error=errors[c.name],
                against=None if errors[c.name] is None else truth_of(c.entrant, match).name,
                precision=c.precision,
            )
            for c in contestants
        ),
    )


def _require_lively(match: Match, request: Request) -> None:
    for entrant in (match.peer, *match.marks):
        entrant.module.train(request.training)
        forward = partial(entrant.driver.checked, entrant.module, match.inputs)
        with _naming(entrant.name):
            require_lively(entrant.module, forward, name=entrant.name)


@contextmanager
def _naming(contestant: str) -> Iterator[None]:
    """Say in one line who fails: other people's code, at sizes it may not bear."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            key='contestant', value=contestant, expected=f'one that can run ({one_line(error)})'
        ) from error


def _prepared(
    match: Match, request: Request, *, progress: bool
) -> tuple[list[Contestant], dict[str, float | None]]:
    """Every contestant, built and found to agree, and how far it is off."""
    found: list[Contestant] = []
    errors: dict[str, float | None] = {}
    makers = makers_of(match, request)
    truths = _Truths(match, request)
    with tqdm(total=len(makers), desc='checking', unit='contestant', disable=not progress) as bar:
        for name, make in makers.items():
            bar.set_postfix_str(name)
            with _naming(name):
                contestant = make()
                errors[name] = truths.check(contestant)
                contestant.runner.run()
            found.append(contestant)
            bar.update()
    return found, errors


class _Truths:
    """What the plain networks compute in float32: the peer's for it and ours, each mark's for itself."""

    def __init__(self, match: Match, request: Request) -> None:
        self.match = match
        self.request = replace(request, precision='fp32')
        self.found: dict[str, Truth] = {}

    def check(self, contestant: Contestant) -> float | None:
        """How far a contestant is off; ``None`` for one that is the truth itself."""
        entrant = truth_of(contestant.entrant, self.match)
        if entrant.name not in self.found:
            plain = make_contestant(entrant, 'plain', self.match.inputs, self.request)
            self.found[entrant.name] = Truth.of(plain.runner)
        if contestant.name == entrant.name and contestant.precision == 'fp32':
            return None
        return require_agreement(contestant, self.found[entrant.name])


def truth_of(entrant: str, match: Match) -> Entrant:
    """Whose outputs an entrant's must equal: those of the same weights."""
    return next((mark for mark in match.marks if mark.name == entrant), match.peer)


def _timed(
    contestants: list[Contestant], request: Request, name: str, *, progress: bool
) -> dict[str, Samples]:
    clock = clock_of(request)
    jobs = {c.name: c.runner.run for c in contestants}
    expected = {}
    for contestant, job in jobs.items():
        expected[contestant] = min(seconds_of(job, clock=clock) for _ in range(_WARM_UP))
    total = request.rounds * sum(runs_per_turn(s) * s for s in expected.values())
    with tqdm(
        total=round(total, 3), desc=f'timing against {name}', unit='s', disable=not progress,
        bar_format='{l_bar}{bar}| {elapsed} of about {remaining} more, {postfix}',
    ) as bar:  # fmt: skip

        def on_turn(who: str, seconds: float) -> None:
            bar.set_postfix_str(who)
            bar.update(min(seconds, bar.total - bar.n))

        return time_in_rounds(jobs, rounds=request.rounds, expected=expected, clock=clock, on_turn=on_turn)


def _peaks(
    contestants: list[Contestant], name: str, request: Request, *, progress: bool
) -> Mapping[str, int | None]:
    found: dict[str, int | None] = {}
    names = [c.name for c in contestants]
    if request.memory == 'none':
        return dict.fromkeys(names)
    with tqdm(total=len(names), desc='memory', unit='contestant', disable=not progress) as bar:
        for contestant in contestants:
            bar.set_postfix_str(contestant.name)
            if request.memory == 'process':
                found[contestant.name] = peak_alone(request, name, contestant.name)
            else:
                found[contestant.name] = peak_of_tensors(contestant, request.device)
            bar.update()
    return found
