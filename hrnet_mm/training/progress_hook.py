"""One quiet progress line while a model trains, for runs whose log is not the point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from ..registry import HOOKS, register_in_scope


@register_in_scope(HOOKS)
class TrainProgressHook(Hook):
    """Show iterations, remaining time and the loss in a bar; the log files stay as they are.

    Args:
        title: what stands before the bar.
    """

    priority = 'LOWEST'

    def __init__(self, *, title: str = 'training') -> None:
        self._title = title
        self._bar: tqdm | None = None

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
        if self._bar is not None:
            loss = torch.as_tensor((outputs or {}).get('loss', float('nan'))).detach()
            self._bar.set_postfix(loss=f'{float(loss):.4g}', refresh=False)
            self._bar.update()

    def after_train(self, runner: Runner) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
