"""Peak memory of one network, in inference and in training, for ``docs/comparison.md``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_mm.analysis import PeakMemory, empty_image, run
from hrnet_mm.analysis.memory import QuickNorms, bytes_of, total_of
from hrnet_mm.analysis.running import default_rois
from hrnet_mm.config.errors import ConfigError, one_line

#: Images in a training step: batch norms on features pooled to 1x1, as in PSPNet, refuse a single one.
TRAINING_BATCH = 2


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
