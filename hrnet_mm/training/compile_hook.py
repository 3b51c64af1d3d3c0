"""A hook that lets torch compile the parts of a model that are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..config.errors import ConfigError
from ..registry import HOOKS, register_in_scope


@register_in_scope(HOOKS)
class CompileHook(Hook):
    """Compile backbone and neck before training or testing; heads, with their Python, stay as they are.

    MMEngine's own ``compile=True`` takes the whole training step, data samples and logging included, which
    torch cuts into many pieces. Weights keep their names.

    Args:
        parts: attributes of the model.
        options: arguments of ``torch.compile``, as in ``dict(mode='max-autotune')``.

    Raises:
        ConfigError: if ``parts`` names nothing.
    """

    priority = 'VERY_LOW'  # after weights are loaded

    def __init__(
        self, parts: Sequence[str] = ('backbone', 'neck'), options: dict[str, Any] | None = None
    ) -> None:
        if isinstance(parts, str) or not parts:
            raise ConfigError(
                key='parts', value=parts, expected="names of the model's parts, as in ['backbone']"
            )
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
