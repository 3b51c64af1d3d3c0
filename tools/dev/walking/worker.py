"""A process that swaps and proves configs, one at a time, and may die of it."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import time
import warnings
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import torch
from mmengine.config import Config

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config.errors import ConfigError, one_line
from hrnet_mm.swap.exchangeable import CODEBASES, has_exchangeable_cnn
from hrnet_mm.swap.overlay import overlay
from hrnet_mm.swap.proof import ProofFailed, proof_key, prove
from hrnet_mm.swap.refusal import SwapRefused
from hrnet_mm.swap.request import SwapRequest
from hrnet_mm.swap.source import Source, read_source
from hrnet_mm.swap.swapping import swapped

_GIGABYTE = 2**30
_MEMORY = 8 * _GIGABYTE  # more than any small image needs; a runaway allocation fails instead of the machine
_START_S = 300.0  # importing four packages on a busy machine


@dataclass(frozen=True)
class Order:
    """What a worker is asked: to swap a config, or to prove the one it swapped last."""

    verb: str
    name: str


@dataclass(frozen=True)
class Answer:
    """What a worker answers.

    Attributes:
        kind: ``swapped``, or a kind of ``Outcome``.
        part: As in ``Outcome``.
        reason: As in ``Outcome``.
        key: As in ``Outcome``.
        is_cnn: As in ``Outcome``.
    """

    kind: str
    part: str = ''
    reason: str = ''
    key: str = ''
    is_cnn: bool = False


_READY = Answer('ready')


@dataclass
class Worker:
    """The parent's side of one process.

    Args:
        request: What to swap in.
        limit_s: Seconds for one order.
        orders_per_process: How many it serves before a fresh one takes its place, because memory leaks.
    """

    request: SwapRequest
    limit_s: float
    orders_per_process: int = 200
    order: Order | None = None
    _served: int = 0
    _deadline: float = 0.0
    _process: Any = None
    _connection: Any = field(default=None)

    @property
    def connection(self) -> Any:
        """Where answers arrive; ready also when the process has died."""
        return self._connection

    @property
    def seconds_left(self) -> float:
        """Until the order has taken too long."""
        return max(0.0, self._deadline - time.monotonic())

    def ask(self, order: Order) -> None:
        """Send an order; the answer arrives at ``connection``."""
        limit = self.limit_s
        # a proof needs the swap that this very process made
        if self._process is None or (self._served >= self.orders_per_process and order.verb == 'swap'):
            self.stop()
            self._start()
            limit = _START_S
        self.order, self._served = order, self._served + 1
        self._deadline = time.monotonic() + limit
        self._connection.send(order)

    def receive(self) -> Answer | None:
        """The answer, once ``connection`` is ready; a death is one as well, that it has started is none."""
        try:
            answer: Answer = self._connection.recv()
            if answer == _READY:
                self._deadline = time.monotonic() + self.limit_s
                return None
            self.order = None
        except (EOFError, ConnectionError):
            self.order = None
            self._process.join()
            code = self._process.exitcode
            self._process = None
            return Answer('failed', part='process', reason=f'it ended with exit code {code}')
        return answer

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(10)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._connection.close()
        self._process, self.order, self._served = None, None, 0

    def _start(self) -> None:
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.request), daemon=True)
        self._process.start()
        theirs.close()


def _serve(connection: Connection, request: SwapRequest) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    desk = _Desk(request)
    connection.send(_READY)
    while True:
        try:
            order = connection.recv()
        except EOFError:
            return
        connection.send(desk.serve(order))


class _Desk:
    """Swaps and proofs inside the process."""

    def __init__(self, request: SwapRequest) -> None:
        self._request = request
        self._source: Source
        self._swapped: Config

    def serve(self, order: Order) -> Answer:
        return self._swap(order.name) if order.verb == 'swap' else self._prove()

    def _swap(self, name: str) -> Answer:
        is_cnn = False
        try:
            self._source = read_source(name)
            is_cnn = self._source.scope in CODEBASES and has_exchangeable_cnn(self._source.cfg.model)
            self._swapped = swapped(self._source, self._request)
            overlay(self._source.cfg.to_dict(), self._swapped.to_dict())
            return Answer('swapped', key=proof_key(self._swapped), is_cnn=is_cnn)
        except SwapRefused as refusal:
            return Answer('refused', part=refusal.part, reason=refusal.reason, is_cnn=is_cnn)
        except ConfigError as error:
            return Answer('unreadable', part=error.key, reason=error.expected)
        except Exception as error:
            return Answer('failed', part='swap', reason=one_line(error), is_cnn=is_cnn)

    def _prove(self) -> Answer:
        try:
            prove(self._swapped)
        except ProofFailed as error:
            return self._judge(error)
        return Answer('proven')

    def _judge(self, error: ProofFailed) -> Answer:
        """It is no failure of the swap if the old model fails at the same step with the same words."""
        try:
            prove(self._source.cfg)
        except ProofFailed as before:
            if str(before) == str(error):
                reason = f'it does not run even with its own backbone ({error})'
                return Answer('refused', part='model', reason=reason)
        return Answer('failed', part=error.step, reason=error.error)
