"""Multiply-accumulates of one run, by torch's own counter."""

from __future__ import annotations

from torch.utils.flop_counter import FlopCounterMode

from .contestants import make_contestant
from .matches import Entrant, Match
from .request import Request


def macs_of(entrant: Entrant, match: Match, request: Request) -> int:
    """Count what the plain network multiplies in one run, forward or forward and backward.

    Convolutions and matrix products count, as in published figures. Every form of a network is credited with
    its plain form's number, whatever it does itself.
    """
    runner = make_contestant(entrant, 'plain', match.inputs, request).runner
    with FlopCounterMode(display=False) as counter:
        runner.run()
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition each
