"""How a network is run, trained and compared: bare modules, and models of the mm packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


def tensors_of(outputs: Any) -> list[Tensor]:
    """The tensors in nested outputs."""
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]


class Driver:
    """The way to use a backbone, a bare classifier, or a neck, which takes its streams as one tuple.

    Args:
        steps: Whether a training step ends in the optimizer's.
        casts: Whether low precision in inference is a cast of weights and inputs; autocast otherwise.
    """

    def __init__(self, *, steps: bool = False, casts: bool = True) -> None:
        self.steps, self.casts = steps, casts

    def forward(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        """What inference times."""
        return module(tuple(inputs) if len(inputs) > 1 else inputs[0])

    def loss(self, module: Any, inputs: Sequence[Tensor]) -> Tensor:
        """The number that training goes back from."""
        outputs = tensors_of(self.forward(module, inputs))
        return torch.stack([y.float().square().mean() for y in outputs]).sum()

    def checked(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        """What must agree between contestants."""
        return self.forward(module, inputs)

    def compilable(self, module: Any, *, training: bool) -> list[nn.Module]:
        """The parts that torch.compile gets."""
        return [module]


class WholeModel(Driver):
    """A model of the mm packages: ``mode='tensor'`` in inference, its own losses in training.

    Args:
        samples: Annotations of the images.
        float_heads: Heads stay in float32: mmcv's RoIAlign and NMS and numpy's metrics have no bfloat16.
        two_stage: A detector chooses proposals by their scores' order, so the maps before are compared.
    """

    def __init__(self, samples: Sequence[Any], *, float_heads: bool = False, two_stage: bool = False) -> None:
        super().__init__(steps=True, casts=not float_heads)
        self.samples, self.float_heads, self.two_stage = list(samples), float_heads, two_stage

    def forward(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        with self._precision(module, inputs[0].device.type):
            # proposals are bounded by the images' sizes
            return module(inputs[0], self.samples if self.two_stage else None, mode='tensor')

    def loss(self, module: Any, inputs: Sequence[Tensor]) -> Tensor:
        with self._precision(module, inputs[0].device.type):
            total: Tensor = module.parse_losses(module(inputs[0], self.samples, mode='loss'))[0]
        return total

    def checked(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        if not self.two_stage:
            return self.forward(module, inputs)
        features = module.extract_feat(inputs[0])
        return features, module.rpn_head(features)

    def compilable(self, module: Any, *, training: bool) -> list[nn.Module]:
        if not (training or self.two_stage):
            return [module]
        # losses and samples are plain Python, which a compiler can only break up
        parts = (getattr(module, name, None) for name in ('backbone', 'neck'))
        return [part for part in parts if isinstance(part, nn.Module)]

    @contextmanager
    def _precision(self, module: Any, device: str) -> Iterator[None]:
        """Under autocast, let it end where the features leave backbone and neck if heads need float32."""
        if not (self.float_heads and torch.is_autocast_enabled(device)):
            yield
            return
        dtype, extract = torch.get_autocast_dtype(device), module.extract_feat

        def in_low_precision(images: Tensor) -> tuple[Tensor, ...]:
            with torch.autocast(device, dtype=dtype):
                return tuple(x.float() for x in extract(images))

        module.extract_feat = in_low_precision  # the model's own losses and forward call it
        try:
            with torch.autocast(device, enabled=False):
                yield
        finally:
            module.extract_feat = extract
