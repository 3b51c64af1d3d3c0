"""A hook that trains backbone and neck from CUDA graphs: thousands of launches a step become two."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import WARNING
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ..config.errors import ConfigError
from ..models.conv_norm import in_layout_of
from ..models.side_by_side import parallel_capture
from ..registry import HOOKS
from ..utils import random_states_kept

Maps = tuple[Tensor, ...]


class Features(nn.Module):
    """Backbone and neck as one function of the image, channels last inside.

    Args:
        model: with ``backbone`` and maybe ``neck``.
        autocast: what matrices are multiplied in; None for float32.
    """

    def __init__(self, model: Any, *, autocast: torch.dtype | None) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.neck = getattr(model, 'neck', None)
        self.autocast = autocast

    def forward(self, image: Tensor) -> Maps:
        """``(N, C, H, W)`` -> what the heads are given, in the image's memory format."""
        device, dtype = image.device.type, self.autocast or torch.float32
        # cast weights that autocast remembers from before a capture would not follow the optimizer
        on = self.autocast is not None
        with torch.autocast(device, dtype=dtype, enabled=on, cache_enabled=False):
            maps = self.backbone(image.contiguous(memory_format=torch.channels_last))
            if self.neck is not None:
                maps = self.neck(maps)
        return tuple(in_layout_of(image, x) for x in maps)


class TrainingGraphs:
    """A model's ``extract_feat`` while it trains: forward and backward pass replayed, a pair for each shape.

    Args:
        model: as for :class:`Features`.
        shapes: how many shapes (or dtypes) are captured; others run as before.
        capture: ``torch.cuda.make_graphed_callables``; a test without a GPU has another.
    """

    def __init__(
        self, model: Any, *, shapes: int, capture: Callable[..., Any] = torch.cuda.make_graphed_callables
    ) -> None:
        self.model = model
        self.shapes = shapes
        self.replayed = False  # since the iteration began
        self._capture = capture
        self._plain = model.extract_feat
        self._graphs: dict[Any, Any] = {}

    def __call__(self, image: Any, *args: Any, **kwargs: Any) -> Any:
        """As the model's own.

        A second call in an iteration is not replayed: it would overwrite maps that the first one's backward
        pass still needs.
        """
        replay = self.model.training and torch.is_grad_enabled() and isinstance(image, Tensor)
        if not replay or self.replayed or args or kwargs:
            return self._plain(image, *args, **kwargs)
        graph = self.graph_for(image)
        if graph is None:
            return self._plain(image)
        self.replayed = True
        return graph(image)

    def graph_for(self, image: Tensor) -> Any:
        """The captured function for such an image, made now if it may be; None if not."""
        device = image.device.type
        autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        key = (image.shape, image.dtype, autocast, torch.backends.cudnn.allow_tf32)
        if key in self._graphs or len(self._graphs) >= self.shapes:
            return self._graphs.get(key)
        size = 'x'.join(map(str, image.shape))
        features = Features(self.model, autocast=autocast)
        try:
            with _left_as_they_are(features), torch.autocast(device, enabled=False), parallel_capture():
                sample = (image.detach().clone(),)
                self._graphs[key] = self._capture(features, sample, allow_unused_input=True)
        except RuntimeError as error:  # out of memory, or an operator that cannot be captured
            self._graphs[key] = None
            why = str(error).partition('\n')[0]
            print_log(f'no CUDA graph for images of {size}, they train as before: {why}', 'current', WARNING)
        else:
            print_log(f'CUDA graphs captured for images of {size}', 'current')
        return self._graphs[key]


@contextmanager
def _left_as_they_are(features: nn.Module) -> Iterator[None]:
    """The warm-up before a capture trains in earnest: put statistics of norms and random numbers back."""
    kept = [buffer.clone() for buffer in features.buffers()]
    with random_states_kept():
        yield
    with torch.no_grad():
        for buffer, before in zip(features.buffers(), kept, strict=True):
            buffer.copy_(before)


@HOOKS.register_module()
class CUDAGraphHook(Hook):
    """Train backbone and neck from CUDA graphs, channels last, streams side by side.

    Heads, losses and optimizer stay as they are; so do weights, statistics and gradients, up to rounding.
    Images of a new shape are captured when they first come. With several processes the first batch alone is,
    before the model is wrapped. Gradients are the graph's own memory, without a copy for each parameter.

    Args:
        shapes: how many shapes of the image are captured; others train as before.

    Raises:
        ConfigError: before training, if the model recomputes activations (``with_cp``), synchronises norms
            over several processes, or is no backbone with a neck and heads.
    """

    priority = 'VERY_LOW'  # after weights are loaded and copied by others

    def __init__(self, *, shapes: int = 4) -> None:
        self.shapes = shapes
        self._graphs: TrainingGraphs | None = None
        self._rewraps = False
        self._owns_gradients = False

    def before_train(self, runner: Runner) -> None:
        """Put the graphs in the place of the model's ``extract_feat``."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        require_capturable(model, runner.model)
        if not next(model.backbone.parameters()).is_cuda:
            runner.logger.info('CUDAGraphHook: the model is on a CPU, where there is nothing to capture')
            return
        for part in (model.backbone, getattr(model, 'neck', None)):
            if part is not None:
                part.to(memory_format=torch.channels_last)
        self._rewraps = is_model_wrapper(runner.model)
        self._graphs = TrainingGraphs(model, shapes=self.shapes)
        model.extract_feat = self._graphs

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Mapping[str, Any] | None = None
    ) -> None:
        """Begin an iteration; capture the first one of a wrapped model."""
        if self._graphs is None:
            return
        self._graphs.replayed = False
        if self._rewraps:
            self._rewraps = False
            self._capture_unwrapped(runner, self._graphs, data_batch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Where gradients accumulate, take those of the first batch out of the memory of the graph."""
        wrapper = runner.optim_wrapper
        if self._graphs is None or not isinstance(wrapper, OptimWrapper):
            return
        if wrapper.should_update():
            self._owns_gradients = False
        elif not self._owns_gradients:
            self._owns_gradients = True
            for parameter in self._graphs.model.parameters():
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.clone()

    def after_train(self, runner: Runner) -> None:
        """Give the model its own ``extract_feat`` back."""
        if self._graphs is not None:
            del self._graphs.model.extract_feat
            self._graphs = None

    def _capture_unwrapped(self, runner: Runner, graphs: TrainingGraphs, data_batch: Any) -> None:
        """Capture as torch asks for: before the model is wrapped, so wrap it again."""
        model = graphs.model
        with runner.optim_wrapper.optim_context(runner.model), _left_as_they_are(model):
            image = model.data_preprocessor(copy.deepcopy(data_batch), True)['inputs']
            if isinstance(image, Tensor):
                graphs.graph_for(image)
        graphs.shapes = 0  # no more: the model is wrapped from now on
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)


def require_capturable(model: Any, wrapper: Any) -> None:
    """Raise ``ConfigError`` for what cannot be trained from CUDA graphs."""
    parts: Sequence[Any] = [getattr(model, 'backbone', None), getattr(model, 'neck', None)]
    if parts[0] is None or not hasattr(model, 'extract_feat'):
        expected = 'a model whose extract_feat is its backbone and neck, for CUDAGraphHook'
        raise ConfigError(key='model.type', value=type(model).__name__, expected=expected)
    modules = [module for part in parts if part is not None for module in part.modules()]
    if any(getattr(module, 'with_cp', False) for module in modules):
        expected = 'False, for CUDAGraphHook: recomputed activations cannot be captured'
        raise ConfigError(key='model.backbone.with_cp', value=True, expected=expected)
    if get_world_size() > 1 and any(type(module).__name__ == 'SyncBatchNorm' for module in modules):
        expected = "'BN', for CUDAGraphHook: norms that wait for other processes are not captured"
        raise ConfigError(key='model.backbone.norm_cfg.type', value='SyncBN', expected=expected)
    if is_model_wrapper(wrapper) and not isinstance(wrapper, MMDistributedDataParallel):
        expected = 'MMDistributedDataParallel or none, for CUDAGraphHook'
        raise ConfigError(key='model_wrapper_cfg.type', value=type(wrapper).__name__, expected=expected)
