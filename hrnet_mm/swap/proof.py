"""Whether a config's model works: it runs forward, trains a step and predicts, on random input."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..config.build import build_module
from ..config.codebases import require_scope
from ..config.errors import one_line
from ..models import HRNetBackbone
from ..utils import iter_dicts, quiet, random_states_kept
from .backbones import drop_weights
from .cpu_operators import cpu_operators
from .inputs import random_inputs

_SEED = 0
_STEPS = ('inputs', 'build', 'forward', 'strides', 'loss', 'backward', 'predict')
_STEPS_OF_SIZE = ('forward', 'loss', 'predict')  # where more pixels may help: kernels and queries need some
_SYNCHRONISED = ('SyncBN', 'MMSyncBN')
_SMALL = 0.01
_WILD = 1e3  # no initialisation gives such a weight; memory nobody wrote to does
_STRIDES_SIDE = 256  # pixels: strides up to 64 still give maps of several cells
_OTHER_MAPS = 'semantic_roi_extractor'  # reads what a semantic head made of the maps


class ProofFailed(RuntimeError):
    """A model that does not work.

    Args:
        step: What it was doing: ``inputs``, ``build``, ``forward``, ``strides``, ``loss``, ``backward`` or
            ``predict``.
        error: What went wrong, in one line.
    """

    def __init__(self, step: str, error: str) -> None:
        super().__init__(step, error)
        self.step = step
        self.error = ' '.join(error.split())

    def __str__(self) -> str:
        return f'{self.step}: {self.error}'

    def no_later_than(self, other: ProofFailed) -> bool:
        """Whether this model broke at the same step as another, or before."""
        return _STEPS.index(self.step) <= _STEPS.index(other.step)


def prove(cfg: Config) -> None:
    """Build a config's model and run it on random images with random annotations.

    Backbone and neck run forward; the strides that a detector's head believes in are compared with the
    maps it gets; a batch of two gives a finite loss in train mode, and its backward pass a finite gradient
    in the backbone (in every trainable weight of an ``HRNetBackbone``, as distributed training expects); one
    image is predicted on. The model has the random weights that training would begin with if there were none
    to load, so nothing is downloaded. Images are small, or of the size that the model is bound to.

    Args:
        cfg: The whole config; it is not changed.

    Raises:
        ProofFailed: one of these does not work.
        ConfigError: the config's codebase is unknown or not installed.
    """
    scope = require_scope(cfg)
    with quiet(), _as_training_begins(), cpu_operators(), DefaultScope.overwrite_default_scope(scope):
        import_module(f'{scope}.models')
        import_module(f'{scope}.datasets')
        with _step('inputs'):
            *smaller, largest = random_inputs(cfg).sizes()
        for size in smaller:
            try:
                return _prove_at(size, copy.deepcopy(cfg))
            except ProofFailed as failure:
                if failure.step not in _STEPS_OF_SIZE:
                    raise
        _prove_at(largest, copy.deepcopy(cfg))


def _prove_at(size: tuple[int, int], cfg: Config) -> None:
    with _step('inputs'):
        inputs = random_inputs(cfg)
        inputs.prepare(size)
    with _step('build'):
        model: Any = _build(cfg)
        # in semi-supervision the student has the backbone that is trained
        part = getattr(model, 'student', model)
    with _step('inputs'):
        rng = np.random.default_rng(_SEED)
        train = inputs.batch(size, rng=rng, count=2, training=True)
        test = inputs.batch(size, rng=rng, count=1, training=False)
    with _step('forward'), torch.no_grad():
        model.eval()
        features = part.extract_feat(_preprocess(model, test, training=False)['inputs'])
        _require_finite(features, 'the features')
    with _step('strides'):
        check_strides(part, size)
    with _step('loss'):
        model.train()
        losses = model(**_preprocess(model, train, training=True), mode='loss')
        loss, parts = model.parse_losses(losses)
        _require_finite(loss, f'the loss { ({k: float(v) for k, v in parts.items()}) }')
    with _step('backward'):
        loss.backward()
        check_gradients(part.backbone)
    with _step('predict'), torch.no_grad():
        model.eval()
        results = model(**_preprocess(model, test, training=False), mode='predict')
        if len(results) != 1:
            raise ValueError(f'{len(results)} results for an image')


@contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # models are other people's code and fail in any way
        raise ProofFailed(name, one_line(error)) from error


@contextmanager
def _as_training_begins() -> Iterator[None]:
    """Fixed random numbers, and the first epoch for losses that follow it; afterwards those of before."""
    messages = MessageHub.get_current_instance().runtime_info
    before = dict(messages)
    with random_states_kept():
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        messages.update(epoch=0, iter=0)
        try:
            yield
        finally:
            messages.clear()
            messages.update(before)


def _build(cfg: Config) -> nn.Module:
    """The model with the weights that training begins with, for a single process."""
    drop_weights(cfg.model)
    settings = copy.deepcopy(cfg.model)
    for _, module in iter_dicts(settings):
        if module.get('type') in _SYNCHRONISED:  # mmcv's own cannot even be built in one process
            module['type'] = 'BN'
    if cfg.get('data_preprocessor') is not None:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)  # as MMEngine's Runner does
    model = revert_sync_batchnorm(build_module(settings, scope=cfg.default_scope))
    model.init_weights()
    for parameter in model.parameters():
        _settle(parameter)
    return model


@torch.no_grad()
def _settle(parameter: Tensor) -> None:
    """Small random weights where nobody wrote any, and where zeros would keep gradients from passing."""
    is_blank = parameter.ndim > 1 and parameter.requires_grad and not parameter.any()
    if is_blank or not torch.isfinite(parameter).all() or parameter.abs().max() > _WILD:
        parameter.normal_(std=_SMALL)


def _preprocess(model: Any, batch: dict[str, Any], *, training: bool) -> dict[str, Any]:
    # the preprocessor writes into the samples
    return dict(model.data_preprocessor(copy.deepcopy(batch), training))


def _require_finite(values: Any, name: str) -> None:
    if not all(torch.isfinite(value).all() for value in tree_leaves(values)):
        raise ValueError(f'{name} is not finite')


def check_gradients(backbone: nn.Module) -> None:
    """Look at the gradients that a backward pass has left in a backbone.

    Raises:
        ValueError: there are none, one is not finite, or a trainable weight of an ``HRNetBackbone`` got
            none, which stops distributed training.
    """
    trainable = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    reached = {name: p.grad for name, p in trainable.items() if p.grad is not None}
    wild = [name for name, grad in reached.items() if not torch.isfinite(grad).all()]
    if wild:
        raise ValueError(f'{len(wild)} gradients of the backbone are not finite, first {wild[0]}')
    if trainable and not any(grad.any() for grad in reached.values()):
        raise ValueError('the backbone got no gradient')
    missing = sorted(trainable.keys() - reached.keys())
    if missing and isinstance(backbone, HRNetBackbone):
        raise ValueError(f'{len(missing)} weights of the backbone got no gradient, first {missing[0]}')


def check_strides(model: Any, size: tuple[int, int]) -> None:
    """Compare the strides that prior generators and RoI extractors believe in with the feature maps.

    A loss cannot show a wrong stride: boxes would merely lie elsewhere.

    Args:
        model: A detector, or anything else, which passes.
        size: Height and width of an image that the model is known to bear.

    Raises:
        ValueError: some strides differ.
    """
    believed = list(_believed_strides(model))
    if not believed:
        return
    side = max(_STRIDES_SIDE, *size)
    model.eval()
    with torch.no_grad():
        maps = model.extract_feat(torch.zeros(1, 3, side, side))
    widths = [x.shape[-1] for x in maps if isinstance(x, Tensor) and x.ndim == 4]
    for name, strides in believed:
        if len(strides) > len(widths):
            raise ValueError(f'{name} has {len(strides)} strides, but there are {len(widths)} maps')
        # one cell more or less is how convolutions without padding round
        if any(abs(side / stride - width) > 1 for stride, width in zip(strides, widths, strict=False)):
            raise ValueError(
                f'{name} has strides {strides}, but the maps of an image of {side} pixels are '
                f'{", ".join(map(str, widths))} wide'
            )


def _believed_strides(model: nn.Module) -> Iterator[tuple[str, list[float]]]:
    for name, module in model.named_modules():
        pools = hasattr(module, 'roi_layers') and _OTHER_MAPS not in name
        believed = {
            'prior_generator': getattr(getattr(module, 'prior_generator', None), 'strides', None),
            'featmap_strides': getattr(module, 'featmap_strides', None) if pools else None,
        }
        for key, strides in believed.items():
            if strides is not None:  # some say the horizontal and the vertical one
                horizontal = [each[0] if isinstance(each, (list, tuple)) else each for each in strides]
                yield f'{name}.{key}', list(map(float, horizontal))
