"""``--fast``: a hook that tests a model in its inference form."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..deploy import to_inference_form
from ..registry import HOOKS, register_in_scope


@register_in_scope(HOOKS)
class InferenceFormHook(Hook):
    """Test, not validate, with folded norms and fused operations; afterwards the model is what it was.

    The weights are loaded by then, so the form is made of what the checkpoint holds.
    """

    def __init__(self) -> None:
        self._original: nn.Module | None = None

    def before_test(self, runner: Runner) -> None:
        """Put the inference form in the model's place."""
        holder, name = _place_of_model(runner)
        self._original = getattr(holder, name)
        setattr(holder, name, to_inference_form(self._original))

    def after_test(self, runner: Runner) -> None:
        """Put the model back."""
        if self._original is not None:
            setattr(*_place_of_model(runner), self._original)


def _place_of_model(runner: Runner) -> tuple[Any, str]:
    """Who holds the model, and under what name: the runner, or what distributes the model."""
    return (runner.model, 'module') if is_model_wrapper(runner.model) else (runner, 'model')
