"""How a network is run, trained and compared: bare modules, models of the mm packages, timm's classifiers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves


class Driver(Protocol):
    """One way to use a module.

    Attributes:
        steps: whether a training step ends in the optimizer's.
        casts: whether low precision in inference is a cast of weights and inputs; autocast otherwise.
    """

    steps: bool
    casts: bool

    def forward(self, module: nn.Module, inputs: Sequence[Tensor]) -> Any:
        """What inference times."""

    def objective(self, module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
        """The number that training goes back from."""

    def checked(self, module: nn.Module, inputs: Sequence[Tensor]) -> Any:
        """What must agree between contestants."""

    def compilable(self, module: nn.Module, *, training: bool) -> list[nn.Module]:
        """The parts that torch.compile gets."""


def tensors_of(outputs: Any) -> list[Tensor]:
    """The tensors in nested outputs."""
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]


def mean_squares(outputs: Any) -> Tensor:
    """The sum of every output's mean square."""
    return torch.stack([y.float().square().mean() for y in tensors_of(outputs)]).sum()


def weighted_mean(outputs: Sequence[Tensor]) -> Tensor:
    """A number that weighs every element of every output differently, the same in every call.

    Mean squares would not do for checks: behind batch norms they hardly depend on the weights before.
    """
    total = outputs[0].new_zeros((), dtype=torch.float32)
    for index, y in enumerate(outputs):
        generator = torch.Generator().manual_seed(index)
        weights = torch.randn(y.shape, generator=generator).to(y.device)
        total = total + (weights * y.float()).mean()
    return total


class Bare:
    """A backbone or a neck.

    Args:
        listed: whether the module takes its inputs as one tuple, as necks do.
    """

    steps = False
    casts = True

    def __init__(self, *, listed: bool = False) -> None:
        self.listed = listed

    def forward(self, module: nn.Module, inputs: Sequence[Tensor]) -> Any:
        return module(tuple(inputs)) if self.listed else module(*inputs)

    def objective(self, module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
        return mean_squares(self.forward(module, inputs))

    def checked(self, module: nn.Module, inputs: Sequence[Tensor]) -> Any:
        return self.forward(module, inputs)

    def compilable(self, module: nn.Module, *, training: bool) -> list[nn.Module]:
        return [module]


class Classifier(Bare):
    """A bare module that gives class scores, trained by cross entropy."""

    steps = True

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        self.labels = labels

    def objective(self, module: nn.Module, inputs: Sequence[Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.forward(module, inputs), self.labels)


class WholeModel:
    """A model of the mm packages: ``mode='tensor'`` in inference, its own losses in training."""

    steps = True
    casts = True

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = list(samples)

    def forward(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        return module(inputs[0], self.tensor_samples(), mode='tensor')

    def tensor_samples(self) -> Any:
        """What the forward pass must know of the images."""
        return None

    def objective(self, module: Any, inputs: Sequence[Tensor]) -> Tensor:
        losses = module(inputs[0], self.samples, mode='loss')
        total: Tensor = module.parse_losses(losses)[0]
        return total

    def checked(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        return self.forward(module, inputs)

    def compilable(self, module: Any, *, training: bool) -> list[nn.Module]:
        # losses and samples are plain Python, which a compiler can only break up
        return _trunk(module) if training else [module]


class FloatHeads(WholeModel):
    """A model whose heads stay in float32: mmcv's RoIAlign and NMS and numpy's metrics have no bfloat16."""

    casts = False

    def forward(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        with _float_features(module, inputs[0].device.type):
            return super().forward(module, inputs)

    def objective(self, module: Any, inputs: Sequence[Tensor]) -> Tensor:
        with _float_features(module, inputs[0].device.type):
            return super().objective(module, inputs)


@contextmanager
def _float_features(module: Any, device: str) -> Iterator[None]:
    """Under autocast, let it end where the features leave backbone and neck."""
    if not torch.is_autocast_enabled(device):
        yield
        return
    dtype, extract = torch.get_autocast_dtype(device), module.extract_feat

    def in_low_precision(images: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(device, dtype=dtype):
            features = extract(images)
        return tuple(x.float() for x in features)

    module.extract_feat = in_low_precision  # the model's own losses and forward call it
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        del module.extract_feat


class Detector(FloatHeads):
    """A two-stage detector: proposals are chosen by their scores' order, so the maps before are compared."""

    def tensor_samples(self) -> Any:
        return self.samples  # proposals are bounded by the images' sizes

    def checked(self, module: Any, inputs: Sequence[Tensor]) -> Any:
        features = module.extract_feat(inputs[0])
        return features, module.rpn_head(features)

    def compilable(self, module: Any, *, training: bool) -> list[nn.Module]:
        return _trunk(module)


def _trunk(module: Any) -> list[nn.Module]:
    parts = (getattr(module, name, None) for name in ('backbone', 'neck'))
    return [part for part in parts if isinstance(part, nn.Module)]
