"""Whether a loss reached the backbone."""

from __future__ import annotations

from typing import Any

import torch

from ..models import HRNetBackbone


def check_gradients(model: Any) -> None:
    """Look at the gradients that a backward pass has left in a model's backbone.

    Raises:
        ValueError: there are none, one is not finite, or a trainable weight of an ``HRNetBackbone`` got
            none, which stops distributed training.
    """
    backbone = model.backbone
    trainable = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    reached = {name: p.grad for name, p in trainable.items() if p.grad is not None}
    wild = [name for name, grad in reached.items() if not torch.isfinite(grad).all()]
    if wild:
        raise ValueError(f'{len(wild)} gradients of the backbone are not finite, first {wild[0]}')
    if not any(bool(grad.abs().sum() > 0) for grad in reached.values()) and trainable:
        raise ValueError('the backbone got no gradient')
    missing = sorted(trainable.keys() - reached.keys())
    if missing and isinstance(backbone, HRNetBackbone):
        raise ValueError(f'{len(missing)} weights of the backbone got no gradient, first {missing[0]}')
