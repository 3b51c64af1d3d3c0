"""Peak memory of a model's tensors, exact and the same on every machine, without its numbers.

A dispatch mode watches every operation's outputs and counts the bytes of all storages alive. On the meta
device that takes no memory and little time, whatever the image's size. What no framework-level view can show
is left out: the allocator's rounding, and workspace inside an operation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..config.errors import ConfigError, one_line
from .quick_norms import QuickNorms
from .running import build_on_meta, default_rois, empty_image, run

#: Images in a training step: batch norms on features pooled to 1x1, as in PSPNet, refuse a single one.
TRAINING_BATCH = 2


class PeakMemory(TorchDispatchMode):
    """Count the bytes of tensors alive while operations run, of any device.

    Storages are counted once, however many tensors look at them, until the last of those is gone. Tensors
    made before the mode was entered count if they are given to ``watch``.

    Attributes:
        current: bytes alive now.
        peak: the most bytes that were alive after an operation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    def watch(self, tensors: Iterable[Tensor]) -> None:
        """Count these tensors, each storage once."""
        for tensor in tensors:
            self._watch_storage(tensor.untyped_storage())
        self.peak = max(self.peak, self.current)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        self.watch(leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
        return outputs

    def _watch_storage(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._alive:
            return

        def forget(_: object) -> None:
            del self._alive[key]
            self.current -= size

        self._alive[key] = weakref.ref(storage, forget)
        self.current += size


@dataclass(frozen=True)
class Memory:
    """Bytes of a model's tensors.

    Attributes:
        weights: parameters and buffers.
        inference: the peak in inference: weights, image, and features while they are needed.
        training: the peak of a forward and backward pass: weights, images, features kept for the backward
            pass, gradients. The optimizer's state comes on top.
        batch: images in inference.
        training_batch: images in training.
    """

    weights: int
    inference: int
    training: int
    batch: int
    training_batch: int


def measure_memory(
    cfg: Config,
    shape: Sequence[int],
    *,
    batch: int = 1,
    training_batch: int = TRAINING_BATCH,
    rois: int | None = None,
) -> Memory:
    """Build a config's model on the meta device and find its peaks.

    Heads, auxiliary ones in training too, are counted; losses, and what turns outputs into results, are not.
    The backward pass starts from the sum of all outputs. Frozen layers are those of the config.

    Args:
        cfg: a config of any of the four codebases.
        shape: height and width of the image.
        batch: images in inference.
        training_batch: images in training.
        rois: RoIs per image for box heads; default what the config's RPN hands on, in inference and in
            training.

    Raises:
        ConfigError: if the model can't be built, or can't be run without data.
    """
    return memory_of(build_on_meta(cfg), shape, batch=batch, training_batch=training_batch, rois=rois)


def memory_of(
    model: nn.Module,
    shape: Sequence[int],
    *,
    batch: int = 1,
    training_batch: int = TRAINING_BATCH,
    rois: int | None = None,
) -> Memory:
    """The same for a model that is built already, on any device."""

    def forward(images: Tensor) -> Any:
        given = default_rois(model, training=model.training) if rois is None else rois
        return run(model, images, given)

    return Memory(
        weights=_bytes_of(_states(model)),
        inference=inference_peak(model, empty_image(model, shape, batch=batch), forward),
        training=training_peak(model, empty_image(model, shape, batch=training_batch), forward),
        batch=batch,
        training_batch=training_batch,
    )


def inference_peak(model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> int:
    """Peak bytes of one pass in eval mode without gradients, weights and images included.

    Args:
        model: on any device.
        images: what to run it on.
        forward: how to run it; default ``model(images)``.
    """
    model.eval()
    memory = _watched(model, images)
    with QuickNorms(), memory, torch.no_grad():
        (forward or model)(images)
    return memory.peak


def training_peak(model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None = None) -> int:
    """Peak bytes of one pass in train mode and the way back from the sum of its outputs.

    Weights, images and gradients of weights are included. The model is left in eval mode without gradients.

    Args:
        model: on any device.
        images: what to run it on.
        forward: how to run it; default ``model(images)``.

    Raises:
        ConfigError: if the way back fails, as where nothing can be trained.
    """
    model.zero_grad(set_to_none=True)
    model.train()
    memory = _watched(model, images)
    try:
        with QuickNorms(), memory:
            # outputs are handed on unnamed, to be gone when the way back starts, as a loss function's are
            total_of((forward or model)(images)).backward()
    except RuntimeError as error:  # what autograd raises
        raise ConfigError(
            key='model.type',
            value=type(model).__name__,
            expected=f'a model that can run backward ({one_line(error)})',
        ) from error
    finally:
        model.zero_grad(set_to_none=True)
        model.eval()
    return memory.peak


def _watched(model: nn.Module, images: Tensor) -> PeakMemory:
    memory = PeakMemory()
    memory.watch([*_states(model), images])
    return memory


def total_of(outputs: Any) -> Tensor:
    """One number that every output has a part in."""
    leaves = (leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad)
    return torch.stack([leaf.sum() for leaf in leaves]).sum()


def _states(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


def _bytes_of(tensors: Iterable[Tensor]) -> int:
    memory = PeakMemory()
    memory.watch(tensors)
    return memory.current
