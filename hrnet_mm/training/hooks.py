"""Hooks that a config may switch on: compiling, the inference form, a progress bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from tqdm import tqdm

from ..deploy import to_inference_form
from ..registry import HOOKS, register_in_scope


@register_in_scope(HOOKS)
class CompileHook(Hook):
    """Compile backbone and neck before training or testing; heads, with their Python, stay as they are.

    MMEngine's own ``compile=True`` takes the whole training step, data samples and logging included, which
    torch cuts into many pieces. Weights keep their names.

    Args:
        parts: attributes of the model.
        options: arguments of ``torch.compile``, as in ``dict(mode='max-autotune')``.
    """

    priority = 'VERY_LOW'  # after weights are loaded

    def __init__(
        self, parts: Sequence[str] = ('backbone', 'neck'), options: dict[str, Any] | None = None
    ) -> None:
        self.parts = tuple(parts)
        self.options = options or {}

    def before_train(self, runner: Runner) -> None:
        """Compile the parts that the model has."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name in self.parts:
            part = getattr(model, name, None)
            if part is not None:
                part.compile(**self.options)

    before_test = before_train


@register_in_scope(HOOKS)
class InferenceFormHook(Hook):
    """``--fast``: test, not validate, with folded norms and fused operations; then the model is put back.

    The weights are loaded by then, so the form is made of what the checkpoint holds.

    Args:
        dtype: what backbone and neck compute in: ``float32``, ``bfloat16`` or ``float16``.
    """

    def __init__(self, dtype: str = 'float32') -> None:
        self.dtype = dtype

    def before_test(self, runner: Runner) -> None:
        """Put the inference form in the model's place."""
        holder, name = (runner.model, 'module') if is_model_wrapper(runner.model) else (runner, 'model')
        original = getattr(holder, name)
        setattr(holder, name, to_inference_form(original, dtype=getattr(torch, self.dtype)))
        self._put_back = partial(setattr, holder, name, original)

    def after_test(self, runner: Runner) -> None:
        """Put the model back."""
        self._put_back()


@register_in_scope(HOOKS)
class TrainProgressHook(Hook):
    """Show iterations, remaining time and the loss in a bar; the log files stay as they are.

    Args:
        title: what stands before the bar.
    """

    priority = 'LOWEST'

    def __init__(self, *, title: str = 'training') -> None:
        self._title = title
        self._bar = tqdm(disable=True)

    def before_train(self, runner: Runner) -> None:
        """Open the bar where the run starts or is resumed."""
        self._bar = tqdm(
            total=runner.max_iters, initial=runner.iter, desc=self._title, unit='it', mininterval=1.0
        )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Move on by one iteration."""
        loss = torch.as_tensor((outputs or {}).get('loss', float('nan'))).detach()
        self._bar.set_postfix(loss=f'{float(loss):.4g}', refresh=False)
        self._bar.update()

    def after_train(self, runner: Runner) -> None:
        """Close the bar."""
        self._bar.close()
