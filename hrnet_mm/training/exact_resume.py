"""The hook that makes a resumed run equal to one that was never interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ..registry import HOOKS, register_in_scope
from .batches import NumberedBatches, begin_after, numbered_loader
from .randomness import seed_step

#: where the message hub, which MMEngine saves, keeps the iteration of the last validation
_VALIDATED = 'validated_iter'


@register_in_scope(HOOKS)
class ExactResumeHook(Hook):
    """With the same seed, weights after a resumed run equal those of an uninterrupted run, bit for bit.

    MMEngine restores weights, optimizer, averages, schedulers and counters. This hook adds what it does not:

    - the data go on where they stopped, in their order, without reading what was trained on already;
    - each sample's augmentation is drawn from (seed, iteration, place in the batch), each step's own chance
      (dropout, sampled proposals) from (seed, iteration), whatever the number of data workers;
    - a validation that was due at the checkpoint, and cut off, is made up for.

    Put ``default_hooks=dict(resume=dict(type='hrnet_mm.ExactResumeHook'))`` into a config.
    """

    priority = 'LOWEST'  # what others draw in their hooks comes first, and is forgotten

    def before_train(self, runner: Runner) -> None:
        """Put the data loader in place, and validate where that was cut off."""
        loop = runner.train_loop
        self._endless = hasattr(loop, 'dataloader_iterator')
        self._loader, self._batches = _new_loader(runner, endless=self._endless)
        loop.dataloader = self._loader
        if self._endless:
            self._batches.start(first=0, skip=runner.iter)
            loop.dataloader_iterator = begin_after(self._loader, runner.iter)
        self._make_up_for_validation(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin an epoch at its first batch or, after a checkpoint inside it, where that was saved."""
        if self._endless:
            return
        first = runner.epoch * len(self._loader)
        done = runner.iter - first
        if not 0 <= done < len(self._loader):
            runner.logger.warning(
                f'iteration {runner.iter} does not lie in epoch {runner.epoch + 1} of {len(self._loader)} '
                'iterations: the data or the batch size changed since the checkpoint; the epoch begins anew'
            )
            first, done = runner.iter, 0
        self._batches.start(first=first, skip=done)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Mapping[str, Any] | None = None
    ) -> None:
        """Seed the step."""
        seed_step(runner.seed, runner.iter)

    def before_val(self, runner: Runner) -> None:
        """Note the validation; a checkpoint saved in it is saved after its effects."""
        runner.message_hub.update_info(_VALIDATED, runner.iter)

    def _make_up_for_validation(self, runner: Runner) -> None:
        loop = runner.train_loop
        if runner.val_loop is None or runner.iter == 0:
            return
        loop._decide_current_val_interval()
        done = runner.iter if self._endless else runner.epoch
        last = runner.max_iters if self._endless else runner.max_epochs
        due = done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)
        iteration = runner.iter if self._endless else runner.epoch * len(self._loader)
        validated = runner.message_hub.runtime_info.get(_VALIDATED, 0)
        if due and validated < iteration:
            runner.val_loop.run()


def _new_loader(runner: Runner, *, endless: bool) -> tuple[DataLoader, NumberedBatches]:
    rank = get_rank()
    apart = runner._randomness_cfg.get('diff_rank_seed', False)  # then the seed holds the rank
    return numbered_loader(
        runner.train_dataloader,
        runner._train_dataloader,
        seed=runner.seed - rank if apart else runner.seed,
        fetch_seed=runner.seed,
        rank=rank,
        endless=endless,
    )
