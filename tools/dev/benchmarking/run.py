"""From a request to a report: build, check that all compute the same, time, and ask for memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Final

import torch
from mmengine.registry import DefaultScope
from torch import Tensor
from tqdm import tqdm

from hrnet_mm.config.errors import ConfigError, one_line
from hrnet_mm.export.agreement import relative_error
from hrnet_mm.utils import quiet

from .contestants import make_contestant
from .networks import Match, make_match
from .report import MatchReport, Report, Row, describe_machine
from .request import Request
from .timer import Clock, time_in_rounds

#: Largest error of an output over the output's largest magnitude.
TOLERANCE: Final[Mapping[str, float]] = {'fp32': 1e-4, 'bf16': 0.2, 'fp16': 0.02}
#: The same for the gradient furthest back, in the Euclidean norm: roundings tip ReLUs, and add up on the way
#: through some hundred layers. A gradient that is missing is 1 off.
GRADIENT_TOLERANCE: Final[Mapping[str, float]] = {'fp32': 0.05, 'bf16': 0.9, 'fp16': 0.5}


class Disagreement(ConfigError):
    """A contestant computes something else; it is told in one line and nothing is timed."""


def benchmark(
    request: Request, *, command: str = '', progress: bool = False, clock: Clock | None = None
) -> Report:
    """Run it.

    Args:
        request: What to measure.
        command: How it was asked for, to be kept with the results.
        progress: Show bars.
        clock: Where time comes from; default the device's.

    Raises:
        ConfigError: if a contestant cannot be built or run.
        Disagreement: if contestants do not compute the same; nothing is timed then.
    """
    started, machine = datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M'), describe_machine(request.device)
    clock = clock or Clock.of(request.device)
    with _settings(request):
        matches = tuple(_run_match(request, peer, clock, progress=progress) for peer in request.peers)
    return Report(command, started, machine, request, matches)


@contextmanager
def _settings(request: Request) -> Iterator[None]:
    """Threads as asked for, and the compiler free to fold weights in inference."""
    from torch._inductor import config as inductor

    threads = torch.get_num_threads()
    torch.set_num_threads(request.threads)
    try:
        with inductor.patch(freezing=request.mode == 'infer'), quiet():
            yield
    finally:
        torch.set_num_threads(threads)


def _run_match(request: Request, peer: str, clock: Clock, *, progress: bool) -> MatchReport:
    torch._dynamo.reset()  # what was compiled for the match before
    match = make_match(request, peer)
    with DefaultScope.overwrite_default_scope(match.scope):
        contestants, errors = _checked(match, request, progress=progress)
        jobs = {c.name: c.run for c in contestants}
        turns = request.rounds * len(jobs)
        with tqdm(total=turns, desc=f'timing against {peer}', unit='turn', disable=not progress) as bar:
            samples = time_in_rounds(jobs, rounds=request.rounds, clock=clock, on_turn=bar.update)
        rows = [
            Row(c.name, c.network == 'ours', c.precision, samples[c.name], c.peak(), errors[c.name])
            for c in contestants
        ]
    return MatchReport(peer, tuple(rows))


def _checked(match: Match, request: Request, *, progress: bool) -> tuple[list[Any], dict[str, float | None]]:
    """Every contestant, the plain peer first, and its error; ``None`` where it is the truth of others."""
    found: list[Any] = []
    errors: dict[str, float | None] = {}
    truths: dict[str, tuple[list[Tensor], Tensor | None]] = {}
    pairs = [(network, form) for network in match.networks for form in request.forms[network.name]]
    for network, form in tqdm(pairs, desc='checking', unit='contestant', disable=not progress):
        name, truth = f'{network.name} {form}', match.truth_of(network.name)
        try:
            if truth.name not in truths:
                in_full = replace(request, precision='fp32')
                plain = make_contestant(truth, 'plain', match.inputs, in_full)
                truths[truth.name] = require_lively(run_exactly(plain))
            contestant = make_contestant(network, form, match.inputs, request)
            is_truth = contestant.name == truth.name and contestant.precision == 'fp32'
            error = None if is_truth else require_agreement(contestant, truths[truth.name])
        except ConfigError:
            raise
        except Exception as cause:  # other people's code, at sizes it may not bear
            expected = f'one that can run ({one_line(cause)})'
            raise ConfigError(key='contestant', value=name, expected=expected) from cause
        found.append(contestant)
        errors[contestant.name] = error
    return found, errors


def run_exactly(contestant: Any) -> tuple[list[Tensor], Tensor | None]:
    """Its outputs, and in training its gradient; where it computes in float32, without TF32 on a GPU."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        return [y.detach() for y in contestant.outputs()], contestant.gradient()
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = products


def require_lively(truth: tuple[list[Tensor], Tensor | None]) -> tuple[list[Tensor], Tensor | None]:
    """Refuse outputs that died out into denormal numbers, on which a CPU is many times slower, or exploded.

    Raises:
        ConfigError: if some largest magnitude is not that of a working network.
    """
    for y in truth[0]:
        largest = y.abs().max().item()
        if not 1e-20 < largest < 1e6:  # nan is none either
            expected = f'outputs fit for timing, not up to {largest:.1e}'
            raise ConfigError(key='contestant', value='plain', expected=expected)
    return truth


def require_agreement(contestant: Any, truth: tuple[list[Tensor], Tensor | None]) -> float:
    """Compare a contestant's outputs, and in training its gradient, with the plain network's in float32.

    Returns:
        The largest relative error of the outputs.

    Raises:
        Disagreement: if there are other outputs, or some are further off than ``TOLERANCE``.
    """
    (expected, expected_gradient), (found, gradient) = truth, run_exactly(contestant)

    def refuse(what: str) -> Disagreement:
        return Disagreement(
            key='contestant', value=contestant.name, expected=f'{what}. Nothing has been timed'
        )

    shapes = [[tuple(y.shape) for y in outputs] for outputs in (expected, found)]
    if shapes[0] != shapes[1]:
        raise refuse(f'outputs of shapes {shapes[0]}, not {shapes[1]}')
    error = max(relative_error(y.cpu(), like.cpu()) for y, like in zip(found, expected, strict=True))
    allowed = TOLERANCE[contestant.precision]
    if error > allowed:
        raise refuse(f"outputs within {allowed:g} of the peer's, relative; they are {error:.1e} off")
    if expected_gradient is not None:
        if gradient is None or gradient.shape != expected_gradient.shape:
            raise refuse(f'a gradient of shape {tuple(expected_gradient.shape)}')
        off = ((gradient - expected_gradient).norm() / expected_gradient.norm()).item()
        allowed = GRADIENT_TOLERANCE[contestant.precision]
        if math.isnan(off) or off > allowed:
            raise refuse(f"gradients within {allowed:g} of the peer's, relative; they are {off:.1e} off")
    return error
