"""Peak memory of tensors, exact and the same on every machine, without their numbers.

A dispatch mode watches every operation's outputs and counts the bytes of all storages alive. On the meta
device that takes no memory and little time, whatever the image's size. What no framework-level view can show
is left out: the allocator's rounding, and workspace inside an operation.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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
