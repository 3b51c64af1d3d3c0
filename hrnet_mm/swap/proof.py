"""Whether a config's model works: it runs forward, trains a step and predicts, on random input."""

from __future__ import annotations

import copy
import hashlib
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from ..config.codebases import require_scope
from ..config.errors import one_line
from .cpu_operators import cpu_operators
from .gradients import check_gradients
from .inputs import prepare, random_batches, sizes, what_inputs_depend_on
from .old_weights import drop_weights
from .strides import check_strides

_Result = TypeVar('_Result')
_SEED = 0
_STEPS_OF_SIZE = ('forward', 'loss', 'predict')  # where more pixels may help: kernels and queries need some
_SYNCHRONISED = ('SyncBN', 'MMSyncBN')
_SMALL = 0.01
_WILD = 1e3  # no initialisation gives such a weight; memory nobody wrote to does


class ProofFailed(RuntimeError):
    """A model that does not work.

    Args:
        step: What it was doing: ``build``, ``inputs``, ``forward``, ``strides``, ``loss``, ``backward`` or
            ``predict``.
        error: What went wrong, in one line.
    """

    def __init__(self, *, step: str, error: str) -> None:
        self.step = step
        self.error = ' '.join(error.split())
        super().__init__(f'{self.step}: {self.error}')

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need help through pickle (process pools).
        return (_rebuild, (self.step, self.error))


def _rebuild(step: str, error: str) -> ProofFailed:
    return ProofFailed(step=step, error=error)


def prove(cfg: Config, *, size: tuple[int, int] | None = None) -> None:
    """Build a config's model and run it on random images with random annotations.

    Backbone and neck run forward; the strides that a detector's head believes in are compared with the
    maps it gets; a batch of two gives a finite loss in train mode, and its backward pass a finite gradient
    in the backbone (in every trainable weight of an ``HRNetBackbone``, as distributed training expects); one
    image is predicted on. The model has the random weights that training would begin with if there were none
    to load, so nothing is downloaded.

    Args:
        cfg: The whole config; it is not changed.
        size: Height and width of the images. Left out: small ones, or those the model is bound to.

    Raises:
        ProofFailed: one of these does not work.
        ConfigError: the config's codebase is unknown or not installed.
    """
    scope = require_scope(cfg)
    with (
        _quiet_and_repeatable(),
        _first_epoch(),
        cpu_operators(),
        DefaultScope.overwrite_default_scope(scope),
    ):
        import_module(f'{scope}.models')
        import_module(f'{scope}.datasets')
        *smaller, largest = [size] if size else _step('inputs', lambda: sizes(cfg))
        for small in smaller:
            try:
                return _prove_at(small, copy.deepcopy(cfg))
            except ProofFailed as failure:
                if failure.step not in _STEPS_OF_SIZE:
                    raise
        _prove_at(largest, copy.deepcopy(cfg))


def _prove_at(size: tuple[int, int], cfg: Config) -> None:
    _step('inputs', lambda: prepare(cfg, size))
    model = _step('build', lambda: _build(cfg))
    batches = _step('inputs', lambda: random_batches(cfg, size, seed=_SEED))
    _step('forward', lambda: _forward(model, batches.test))
    _step('strides', lambda: check_strides(model, size))
    losses = _step('loss', lambda: _loss(model, batches.train))
    _step('backward', lambda: _backward(model, losses))
    _step('predict', lambda: _predict(model, batches.test))


def proof_key(cfg: Config) -> str:
    """A fingerprint of everything that decides a proof: configs with the same one are proven together."""
    cfg = copy.deepcopy(cfg)
    size = sizes(cfg)[0]
    prepare(cfg, size)
    drop_weights(cfg.model)
    deciding = (cfg.default_scope, size, cfg.model, what_inputs_depend_on(cfg))
    return hashlib.sha256(repr(deciding).encode()).hexdigest()


def _step(name: str, action: Callable[[], _Result]) -> _Result:
    try:
        return action()
    except ProofFailed:
        raise
    except Exception as error:  # models are other people's code and fail in any way
        raise ProofFailed(step=name, error=one_line(error)) from error


@contextmanager
def _quiet_and_repeatable() -> Iterator[None]:
    """Fixed random numbers, those of before afterwards, and no logs or warnings: nothing is trained here."""
    states = random.getstate(), np.random.get_state()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # init_weights reports every single parameter
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        try:
            yield
        finally:
            logging.disable(level)
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextmanager
def _first_epoch() -> Iterator[None]:
    """Tell losses that change in the course of training that it has only begun, as a runner does."""
    known = MessageHub.get_current_instance().runtime_info
    before = dict(known)
    known.update(epoch=0, iter=0)
    try:
        yield
    finally:
        known.clear()
        known.update(before)


def _build(cfg: Config) -> nn.Module:
    drop_weights(cfg.model)
    model_cfg = copy.deepcopy(cfg.model)
    _use_one_process(model_cfg)
    if cfg.get('data_preprocessor') is not None:
        # as MMEngine's Runner does
        model_cfg.setdefault('data_preprocessor', copy.deepcopy(cfg.data_preprocessor))
    model = revert_sync_batchnorm(MODELS.build(model_cfg))
    model.init_weights()
    for parameter in model.parameters():
        _settle(parameter)
    return model


def _use_one_process(node: Any) -> None:
    """Norms of several processes, mmcv's own cannot even be built in one, become those of one, in place."""
    if isinstance(node, dict):
        if node.get('type') in _SYNCHRONISED:
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            _use_one_process(value)


@torch.no_grad()
def _settle(parameter: Tensor) -> None:
    """Small random weights where nobody wrote any, and where zeros would keep gradients from passing."""
    is_blank = parameter.ndim > 1 and parameter.requires_grad and not parameter.any()
    if is_blank or not torch.isfinite(parameter).all() or parameter.abs().max() > _WILD:
        parameter.normal_(std=_SMALL)


def _forward(model: nn.Module, batch: dict[str, Any]) -> None:
    model.eval()
    with torch.no_grad():
        features = _part(model).extract_feat(_preprocess(model, batch, training=False)['inputs'])
    _require_finite(features, 'the features')


def _loss(model: Any, batch: dict[str, Any]) -> Tensor:
    model.train()
    losses = model(**_preprocess(model, batch, training=True), mode='loss')
    total, parts = model.parse_losses(losses)
    _require_finite([total], f'the loss { ({k: float(v) for k, v in parts.items()}) }')
    return total


def _backward(model: nn.Module, loss: Tensor) -> None:
    loss.backward()
    check_gradients(_part(model))


def _predict(model: nn.Module, batch: dict[str, Any]) -> None:
    model.eval()
    with torch.no_grad():
        results = model(**_preprocess(model, batch, training=False), mode='predict')
    if len(results) != len(batch['data_samples']):
        raise ValueError(f'{len(results)} results for {len(batch["data_samples"])} images')


def _preprocess(model: Any, batch: dict[str, Any], *, training: bool) -> dict[str, Any]:
    # the preprocessor writes into the samples
    return dict(model.data_preprocessor(copy.deepcopy(batch), training))


def _part(model: Any) -> Any:
    """The network that has the backbone: in semi-supervision the student, which is trained."""
    return model.student if hasattr(model, 'student') else model


def _require_finite(values: Any, name: str) -> None:
    tensors = [values] if isinstance(values, Tensor) else values
    for tensor in tensors:
        if isinstance(tensor, (list, tuple)):
            _require_finite(tensor, name)
        elif not torch.isfinite(tensor).all():
            raise ValueError(f'{name} is not finite')
