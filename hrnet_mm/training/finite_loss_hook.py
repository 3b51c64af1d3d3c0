"""A hook that stops a training before its weights are lost to NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..config.errors import ConfigError
from ..registry import HOOKS, register_in_scope

_NAMED_GRADIENTS = 3  # where one is NaN, most are
_SHOWN_IMAGES = 16  # in the message; the log has all of them


class NumericFault(ArithmeticError):
    """A loss or a gradient that is NaN or infinite, found before the optimizer stepped on it.

    Args:
        step: Iteration, counted from 1 as the log does.
        values: What broke -> its value.
        images: Paths of the batch's images, of all processes on which something broke.
        checkpoint: The last one saved; None where there is none yet.
    """

    def __init__(
        self, step: int, values: Mapping[str, float], images: Sequence[str], checkpoint: str | None
    ) -> None:
        super().__init__(step, values, images, checkpoint)
        self.step = step
        self.values = dict(values)
        self.images = tuple(images)
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        broken = ', '.join(f'{name} = {value}' for name, value in self.values.items())
        rest = len(self.images) - _SHOWN_IMAGES
        images = [*self.images[:_SHOWN_IMAGES], *([f'and {rest} more'] if rest > 0 else [])]
        return (
            f'iteration {self.step}: {broken}; images of the batch: {", ".join(images) or "without paths"}; '
            f'last good checkpoint: {self.checkpoint or "none saved yet"}'
        )


@register_in_scope(HOOKS)
class FiniteLossHook(Hook):
    """Stop before the optimizer steps on a loss or on gradients that are NaN or infinite.

    Weights and the optimizer's state stay as the last good step left them, and no checkpoint holds anything
    else. Losses and gradients are looked at before every step, by PyTorch's own hooks of model and optimizer:
    with gradient accumulation, in mixed precision and on several processes, which decide alike. Infinite
    gradients of mixed precision are ``GradScaler``'s to skip, and never come here; a loss that is NaN does.

    The price is the norm of the gradients and one flag a step that the processor waits for, and on several
    processes one reduction of it; MMEngine waits for the losses right after, to log them.

    Args:
        skip_up_to: so many steps in all of a run are left out instead, each with a warning: neither weights
            nor statistics of norms change, nothing is logged from the broken batch on. The next one stops the
            run. Under gradient accumulation a step is left out with all of its batches.
        gradients: look at gradients too.

    Raises:
        ConfigError: if ``skip_up_to`` is no number of steps.
        NumericFault: while training.
    """

    priority = 'HIGHEST'  # what a step left out returned is gone before another hook logs it

    def __init__(self, *, skip_up_to: int = 0, gradients: bool = True) -> None:
        if type(skip_up_to) is not int or skip_up_to < 0:
            raise ConfigError(key='skip_up_to', value=skip_up_to, expected='a number of steps, 0 or more')
        self.skip_up_to = skip_up_to
        self.gradients = gradients
        self.skipped = 0
        self._handles: list[Any] = []
        #: statistics of norms, which take a batch in before its loss is known, and as the step found them
        self._statistics: list[tuple[list[Tensor], list[Tensor]]] = []
        self._begins = True
        self._begin_step()

    def before_train(self, runner: Runner) -> None:
        """Take up the posts: behind the model's forward pass, before the optimizer's step."""
        model = _bare(runner.model)
        if self.skip_up_to:  # by dtype: then a copy of all is one kernel
            dtypes = {buffer.dtype for buffer in model.buffers()}
            groups = [[b for b in model.buffers() if b.dtype == dtype] for dtype in dtypes]
            self._statistics = [(group, [buffer.clone() for buffer in group]) for group in groups]
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self._handles = [
            model.register_forward_hook(self._note_losses, with_kwargs=True),
            *(one.optimizer.register_step_pre_hook(partial(self._check_step, runner)) for one in wrappers),
        ]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep the statistics of norms, where a step may be left out."""
        if self._begins:
            self._begins = False
            for buffers, kept in self._statistics:
                torch._foreach_copy_(kept, buffers)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Read losses that led to no step; undo what a step left out has done to statistics and log."""
        if self._unread:
            self._check(runner, [])
        if self._left_out:
            with torch.no_grad():
                for buffers, kept in self._statistics:
                    torch._foreach_copy_(buffers, kept)
            if isinstance(outputs, dict):
                outputs.clear()
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
            self._begin_step()

    def after_train(self, runner: Runner) -> None:
        """Leave the posts."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _begin_step(self) -> None:
        """Forget the batches that made up the last step."""
        self._begins = True
        self._left_out = False
        self._images: list[str] = []
        #: losses of batches that nobody has looked at yet
        self._unread: list[Mapping[str, Any]] = []

    def _note_losses(self, model: nn.Module, args: Any, kwargs: Mapping[str, Any], losses: Any) -> None:
        """Behind a forward pass."""
        if kwargs.get('mode') == 'loss' and isinstance(losses, Mapping):
            self._images += _image_paths((args, kwargs))
            self._unread.append({name: value for name, value in losses.items() if 'loss' in name})

    def _check_step(self, runner: Runner, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Before a step: without gradients an optimizer changes nothing, neither by momentum nor by decay."""
        groups = optimizer.param_groups if self.gradients else []
        self._check(runner, [p.grad for group in groups for p in group['params'] if p.grad is not None])
        if self._left_out:
            optimizer.zero_grad(set_to_none=True)

    def _check(self, runner: Runner, gradients: Sequence[Tensor]) -> None:
        """Look at gradients, and at the losses that nobody has looked at, unless the step is lost already."""
        norm = [nn.utils.get_total_norm(gradients)] if gradients else []
        if not self._left_out and _anywhere_broken([*map(_total, self._unread), *norm]):
            values = {
                name: value for losses in self._unread for name, value in _broken_losses(losses).items()
            }
            if not any(all_gather_object(bool(values))):  # gradients after a broken loss tell nothing new
                values = _broken_gradients(_bare(runner.model))
            self._fault(runner, values)
        self._unread = []

    def _fault(self, runner: Runner, values: dict[str, float]) -> None:
        """Tell all processes what broke on which of them; leave the step out, or stop the run."""
        parts = all_gather_object((values, self._images if values else []))
        resumed = runner._load_from if runner._resume else None
        fault = NumericFault(
            step=runner.iter + 1,
            values={name: value for broken, _ in parts for name, value in broken.items()},
            images=tuple(dict.fromkeys(image for _, found in parts for image in found)),
            checkpoint=runner.message_hub.runtime_info.get('last_ckpt', resumed),
        )
        if self.skipped == self.skip_up_to:
            runner.logger.error(f'{fault}; all of its images: {", ".join(fault.images)}')
            self.after_train(runner)
            raise fault
        self.skipped += 1
        self._left_out = True
        runner.logger.warning(f'{fault}; step left out, {self.skipped} of at most {self.skip_up_to}')


def _bare(model: Any) -> nn.Module:
    return model.module if is_model_wrapper(model) else model


def _mean(value: Any) -> Any:
    """A loss as MMEngine sums it: a tensor, or tensors of several levels."""
    return sum(_mean(item) for item in value) if isinstance(value, (list, tuple)) else value.detach().mean()


def _total(losses: Mapping[str, Any]) -> Any:
    return sum(_mean(value) for name, value in losses.items() if 'loss' in name)


def _anywhere_broken(numbers: Sequence[Any]) -> bool:
    """Whether one of some numbers is NaN or infinite, on any process."""
    tensors = [torch.as_tensor(number, dtype=torch.float32).reshape(()) for number in numbers]
    finite = torch.stack(tensors).isfinite().all() if tensors else torch.tensor(True)
    broken = (~finite).float()
    if get_world_size() > 1:
        all_reduce(broken, op='max')
    return bool(broken)


def _broken_losses(losses: Mapping[str, Any]) -> dict[str, float]:
    """The losses of this process that broke; the sum, where it alone did; nothing, where all are in order."""
    total = float(_total(losses))
    if math.isfinite(total):
        return {}
    values = {name: float(_mean(value)) for name, value in losses.items() if 'loss' in name}
    broken = {name: value for name, value in values.items() if not math.isfinite(value)}
    return broken or {'sum of the losses': total}


def _broken_gradients(model: nn.Module) -> dict[str, float]:
    norms = {
        f'gradient of {name}': float(parameter.grad.norm())
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all())
    }
    return dict(list(norms.items())[:_NAMED_GRADIENTS]) or {'norm of the gradients': math.inf}


def _image_paths(node: Any) -> Iterator[str]:
    """Paths in the data samples of a batch, wherever they stand in the model's arguments."""
    if isinstance(node, BaseDataElement):
        paths = node.metainfo.get('img_path')
        yield from [paths] if isinstance(paths, str) else map(str, paths or ())
    elif isinstance(node, (Mapping, list, tuple)):
        for item in node.values() if isinstance(node, Mapping) else node:
            yield from _image_paths(item)
