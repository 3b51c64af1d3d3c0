"""The hook that guards a run's data sets."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..registry import HOOKS, register_in_scope
from .findings import KINDS
from .guard import Ledger, guard


@register_in_scope(HOOKS)
class DataGuardHook(Hook):
    """Guard the data sets that a run reads (see ``GuardedPipeline``), and tell at its end what was left out.

    Args:
        lines: What is known of the data before the run; the log starts with it.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self._lines = tuple(lines)
        self._ledger = Ledger()

    def before_run(self, runner: Runner) -> None:
        """Put the guards in, before workers are started."""
        for line in self._lines:
            runner.logger.warning(line)
        for name in ('_train_loop', '_val_loop', '_test_loop'):
            dataloader = getattr(getattr(runner, name, None), 'dataloader', None)
            if dataloader is not None:
                guard(dataloader.dataset, self._ledger, test_mode=name != '_train_loop')

    def after_run(self, runner: Runner) -> None:
        """Tell how many samples were left out."""
        counts = self._ledger.counts()
        damage = [f'{count} x {kind}' for kind, count in counts.items() if KINDS[kind].severity.is_damage]
        if damage:
            runner.logger.warning(f'data: faulty samples met, each time they came up: {", ".join(damage)}')
