"""Peak memory of a model's tensors, exact and the same on every machine, without its numbers.

A dispatch mode watches every operation's outputs and counts the bytes of all storages alive. On the meta
device that takes no memory and little time, whatever the image's size. What no framework-level view can show
is left out: the allocator's rounding, and workspace inside an operation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..config.errors import ConfigError, one_line
from .running import default_rois, empty_image, run

#: Images in a training step: batch norms on features pooled to 1x1, as in PSPNet, refuse a single one.
TRAINING_BATCH = 2


class PeakMemory(TorchDispatchMode):
    """Count the bytes of tensors alive while operations run, of any device.

    Storages are counted once, however many tensors look at them, until the last of those is gone. Tensors
    made before the mode was entered count if they are ``held``.

    Attributes:
        current: Bytes alive now.
        peak: The most bytes that were alive after an operation.
    """

    def __init__(self, held: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.current = 0
        self.peak = 0
        self._alive: dict[int, weakref.ref[Any]] = {}
        self.watch(held)

    def watch(self, tensors: Iterable[Tensor]) -> None:
        """Count these tensors, each storage once."""
        for storage in (tensor.untyped_storage() for tensor in tensors):
            key, size = storage._cdata, storage.nbytes()
            if key not in self._alive:
                self._alive[key] = weakref.ref(storage, partial(self._forget, key, size))
                self.current += size
        self.peak = max(self.peak, self.current)

    def _forget(self, key: int, size: int, _: object) -> None:
        del self._alive[key]
        self.current -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        self.watch(leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
        return outputs


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of some tensors, each storage once."""
    return PeakMemory(tensors).current


@dataclass(frozen=True)
class Memory:
    """Bytes of a model's tensors.

    Attributes:
        weights: Parameters and buffers.
        inference: The peak in inference: weights, image, and features while they are needed.
        training: The peak of a forward and backward pass: weights, images, features kept for the backward
            pass, gradients. The optimizer's state comes on top.
    """

    weights: int
    inference: int
    training: int


def memory_of(
    model: nn.Module, shape: Sequence[int], *, training_batch: int = TRAINING_BATCH, rois: int | None = None
) -> Memory:
    """Find a model's peaks, in inference of one image.

    Heads, auxiliary ones in training too, are counted; losses, and what turns outputs into results, are not.
    The backward pass starts from the sum of all outputs. Frozen layers are those of the config.

    Args:
        model: On any device; ``build_model(cfg, device='meta')`` gives one that takes no memory.
        shape: Height and width of the image, in pixels.
        training_batch: Images in training.
        rois: RoIs per image for box heads; default what the config asks for.

    Raises:
        ConfigError: if the model can't be run without data.
    """

    def forward(images: Tensor) -> Any:
        given = default_rois(model, training=model.training) if rois is None else rois
        return run(model, images, given)

    return Memory(
        weights=bytes_of([*model.parameters(), *model.buffers()]),
        inference=peak_of(model, empty_image(model, shape), forward, training=False),
        training=peak_of(model, empty_image(model, shape, batch=training_batch), forward, training=True),
    )


def peak_of(
    model: nn.Module, images: Tensor, forward: Callable[[Tensor], Any] | None = None, *, training: bool
) -> int:
    """Peak bytes of one pass, weights and images included.

    Args:
        model: On any device. It is left in eval mode without gradients.
        images: What to run it on.
        forward: How to run it; default ``model(images)``.
        training: In train mode, with the backward pass from the sum of the outputs and its gradients;
            otherwise in eval mode without any.

    Raises:
        ConfigError: if the backward pass fails, as where nothing can be trained.
    """
    model.zero_grad(set_to_none=True)
    model.train(training)
    run_once = forward or model
    try:
        with QuickNorms(), PeakMemory([*model.parameters(), *model.buffers(), images]) as memory:
            if training:
                # outputs are handed on unnamed, to be gone when the backward pass starts, as with a loss
                total_of(run_once(images)).backward()
            else:
                with torch.no_grad():
                    run_once(images)
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


def total_of(outputs: Any) -> Tensor:
    """One number that every output has a part in."""
    leaves = (leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad)
    return torch.stack([leaf.sum() for leaf in leaves]).sum()


class QuickNorms(TorchDispatchMode):
    """Give batch norms' outputs on the meta device without working them out; everything else runs as ever.

    Left alone, torch works them out by way of a dozen smaller operations, which is most of the time that a
    network takes on the meta device.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        quick = _QUICK.get(func) if args and isinstance(args[0], Tensor) and args[0].is_meta else None
        return (quick or func)(*args, **(kwargs or {}))


def _batch_norm(
    x: Tensor, weight: Any, bias: Any, mean: Any, var: Any, training: bool, *numbers: float
) -> tuple[Tensor, ...]:
    """Output, and the mean and deviation kept for the backward pass, which inference doesn't need."""
    return torch.empty_like(x), *(_statistic(x, x.shape[1] if training else 0) for _ in range(2))


def _batch_norm_backward(grad: Tensor, x: Tensor, *others: Any) -> tuple[Tensor | None, ...]:
    """Gradients of input, weight and bias, those that are wanted."""
    image, *affine = others[-1]
    scale, shift = (_statistic(x, x.shape[1]) if wanted else None for wanted in affine)
    return torch.empty_like(x) if image else None, scale, shift


def _statistic(x: Tensor, channels: int) -> Tensor:
    """One number per channel, never in half precision."""
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    return torch.empty(channels, dtype=dtype, device=x.device)


_QUICK: Final[Mapping[Any, Callable[..., Any]]] = {
    torch.ops.aten.native_batch_norm.default: _batch_norm,
    torch.ops.aten.native_batch_norm_backward.default: _batch_norm_backward,
}
