"""Networks in the forms in which they are timed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .drivers import Driver, tensors_of, weighted_mean
from .engines import ENGINE_RUNNERS
from .forms import ENGINES, Form, form_of
from .matches import Entrant, Match
from .request import PRECISIONS, Request

_LEARNING_RATE = 1e-8  # a step costs the same whatever its length, and the weights stay alive


class Runner(Protocol):
    """What a contestant can do.

    Attributes:
        is_watchable: whether every tensor that a run makes goes through torch's dispatcher.
    """

    is_watchable: bool

    def run(self) -> Any:
        """What is timed, once."""

    def outputs(self) -> list[Tensor]:
        """What must agree, in float32."""

    def gradient(self) -> Tensor | None:
        """In training, the gradient that has come the longest way back."""

    def tensors(self) -> list[Tensor]:
        """All of torch's tensors that it holds."""


@dataclass(frozen=True)
class Contestant:
    """One row of the table.

    Attributes:
        name: ``ours inference_form``, ``mmpose``, ``mmpose openvino``, ...
        entrant: whose network it is.
        form: in which form.
        precision: what it computes in.
        runner: what it can do.
    """

    name: str
    entrant: str
    form: str
    precision: str
    runner: Runner

    @property
    def is_ours(self) -> bool:
        """Whether it is one of ours."""
        return self.entrant == 'ours'


def makers_of(match: Match, request: Request) -> dict[str, Callable[[], Contestant]]:
    """Every contestant of a match by name, the plain peer first, each made when it is called for."""
    forms = [(match.peer, request.forms_of(match.name)), (match.ours, request.forms)]
    forms += [(mark, request.forms_of(mark.name)) for mark in match.marks]
    return {
        _name(entrant, form): _maker(entrant, form, match, request)
        for entrant, names in forms
        for form in names
    }


def _name(entrant: Entrant, form: str) -> str:
    return entrant.name if form == 'plain' else f'{entrant.name} {form}'


def _maker(entrant: Entrant, form: str, match: Match, request: Request) -> Callable[[], Contestant]:
    return lambda: make_contestant(entrant, form, match.inputs, request)


def make_contestant(
    entrant: Entrant, form_name: str, inputs: Sequence[Tensor], request: Request
) -> Contestant:
    """One network in one form, with its own copy of the weights."""
    name = _name(entrant, form_name)
    if form_name in ENGINES:
        runner: Runner = ENGINE_RUNNERS[form_name](
            entrant.module, entrant.driver, inputs, threads=request.threads
        )
        return Contestant(name, entrant.name, form_name, 'fp32', runner)
    form = form_of(request.mode, form_name, ours=entrant.name == 'ours')
    precision = form.precision or request.precision
    kind = Training if request.training else Inference
    runner = kind(entrant, form, inputs, precision=precision, device=request.device)
    return Contestant(name, entrant.name, form_name, precision, runner)


class _TorchRunner:
    """A module with its own copy of weights and inputs."""

    training: bool

    def __init__(
        self, entrant: Entrant, form: Form, inputs: Sequence[Tensor], *, precision: str, device: str
    ) -> None:
        self.driver: Driver = entrant.driver
        self.dtype = PRECISIONS[precision]
        self.device = device
        module = copy.deepcopy(entrant.module)
        module.train(self.training)
        module = form.convert(module)
        layout = torch.channels_last if form.channels_last else torch.preserve_format
        if form.channels_last:
            _lay_out_channels_last(module)
        self.inputs = tuple(x.detach().clone(memory_format=layout) for x in inputs)
        for x, like in zip(self.inputs, inputs, strict=True):
            x.requires_grad_(like.requires_grad)
        self.module = self._cast(module)
        self.is_watchable = not form.compiled  # compiled code allocates by itself
        if form.compiled:
            for part in self.driver.compilable(module, training=self.training):
                part.compile()

    def _cast(self, module: nn.Module) -> nn.Module:
        return module

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device, dtype=self.dtype)

    def tensors(self) -> list[Tensor]:
        return [*self.module.parameters(), *self.module.buffers(), *_others(self.module), *self.inputs]


def _lay_out_channels_last(module: Any) -> None:
    module.to(memory_format=torch.channels_last)


def _others(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that modules keep beside parameters and buffers, such as weights in oneDNN's order."""
    for part in module.modules():
        yield from (value for value in vars(part).values() if isinstance(value, Tensor))


class Inference(_TorchRunner):
    """One forward pass in eval mode."""

    training = False

    def _cast(self, module: nn.Module) -> nn.Module:
        if self.driver.casts and self.dtype != torch.float32:
            module.to(self.dtype)
            self.inputs = tuple(x.to(self.dtype) for x in self.inputs)
        return module

    def _mode(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.driver.casts else self._autocast()

    @torch.no_grad()
    def run(self) -> Any:
        with self._mode():
            return self.driver.forward(self.module, self.inputs)

    @torch.no_grad()
    def outputs(self) -> list[Tensor]:
        with self._mode():
            return [y.float() for y in tensors_of(self.driver.checked(self.module, self.inputs))]

    def gradient(self) -> Tensor | None:
        return None


class Training(_TorchRunner):
    """Forward and backward, for whole models with a step of SGD."""

    training = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimizer = None
        if self.driver.steps:
            learnable = [p for p in self.module.parameters() if p.requires_grad]
            self.optimizer = torch.optim.SGD(learnable, lr=_LEARNING_RATE, momentum=0.9, weight_decay=1e-4)

    def run(self) -> Any:
        with self._autocast():
            objective = self.driver.objective(self.module, self.inputs)
        objective.backward()
        if self.optimizer is not None:
            self.optimizer.step()
        self._forget_gradients()

    def outputs(self) -> list[Tensor]:
        with self._autocast():
            checked = self.driver.checked(self.module, self.inputs)
        return [y.detach().float() for y in tensors_of(checked)]

    def gradient(self) -> Tensor | None:
        with self._autocast():
            checked = tensors_of(self.driver.checked(self.module, self.inputs))
        weighted_mean(checked).backward()
        first = self._first()
        assert first.grad is not None
        gradient = first.grad.detach().float().clone()
        self._forget_gradients()
        return gradient

    def _first(self) -> Tensor:
        """The input if it wants a gradient, else the first convolution's weight."""
        if self.inputs[0].requires_grad:
            return self.inputs[0]
        return next(m for m in self.module.modules() if isinstance(m, nn.Conv2d)).weight

    def _forget_gradients(self) -> None:
        self.module.zero_grad(set_to_none=True)
        for x in self.inputs:
            x.grad = None

    def tensors(self) -> list[Tensor]:
        found = super().tensors()
        if self.optimizer is None:
            return found
        states = self.optimizer.state.values()
        return found + [value for state in states for value in state.values() if isinstance(value, Tensor)]
