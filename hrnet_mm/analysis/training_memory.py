"""How much memory a config's training will take, and the largest batch that fits, before a card is bought.

Two whole steps are run on the meta device, the second with the optimizer's state in place, while the bytes of
all tensors alive are counted (see :mod:`hrnet_mm.analysis.memory`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..config.build import build_model
from ..config.codebases import require_scope
from ..config.errors import ConfigError, one_line
from ..config.joint import require_one_task, task_configs
from .memory import PeakMemory, QuickNorms, bytes_of, total_of
from .running import default_rois, empty_image, run
from .shapes import Shape, task_shapes

GIB = 2**30
_LARGEST_BATCH = 2**16


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step.

    Attributes:
        batch: Images per step, of all tasks.
        weights: Parameters and buffers.
        gradients: Of all parameters that learn.
        optimizer: The optimizer's state.
        activations: What else is alive at the peak: images, features kept for the backward pass and what
            they are worked on with.
        peak: The most at any time of the step. Gradients appear while activations go, so it is less than
            the sum of all.
    """

    batch: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    peak: int


@dataclass(frozen=True)
class Recomputation:
    """What it saves and costs to recompute the residual blocks of some stages (``backbone.with_cp``).

    Attributes:
        stages: The stages' numbers.
        memory: The predicted memory.
        extra_work: Multiplications that a step does more, as a share of those without recomputation.
    """

    stages: tuple[int, ...]
    memory: TrainingMemory
    extra_work: float


def predict_training_memory(
    cfg: Config, shape: Shape | None, *, batch: int | None = None, amp: bool = False
) -> TrainingMemory:
    """Predict the peak of one process; of several tasks, in a step of all, or of the largest (``shares``).

    Segmentors' losses count as cross entropies at the image's size, others as the sum of the heads' outputs.
    The data loader, the allocator's rounding and operations' workspaces come on top.

    Args:
        cfg: A config of any codebase, with an ``optim_wrapper``.
        shape: Height and width of the images, in pixels, or None; see :func:`task_shapes`.
        batch: Images per step, of each task; default the config's ``train_dataloader.batch_size``.
        amp: With convolutions and matrix products in bfloat16.

    Raises:
        ConfigError: if the model or the optimizer can't be built, or the model can't be run without data.
    """
    return _Step(cfg, shape, amp=amp).memory(batch)


def largest_batch(
    cfg: Config, shape: Shape | None, *, gib: float, amp: bool = False
) -> TrainingMemory | None:
    """The largest batch whose predicted peak fits into ``gib`` GiB, ``None`` if no batch does.

    Raises:
        ConfigError: as :func:`predict_training_memory`, or if there are several tasks.
    """
    require_one_task(cfg)
    step = _Step(cfg, shape, amp=amp)
    low, high = 0, _LARGEST_BATCH
    found = None
    # the peak is all but linear in the batch: aim by the last one's share per image, then close in
    guess = 2  # batch norms on features pooled to 1x1, as in PSPNet, refuse a single image
    while low + 1 < high:
        memory = step.memory(guess)
        if memory.peak <= gib * GIB:
            low, found = guess, memory
        else:
            high = guess
        fixed = memory.weights + memory.gradients + memory.optimizer
        per_image = max(1, (memory.peak - fixed) // guess)
        aimed = int((gib * GIB - fixed) // per_image)
        guess = min(max(aimed, low + 1), high - 1)
    return found


def recomputations(
    cfg: Config, shape: Shape | None, *, batch: int | None = None, amp: bool = False
) -> list[Recomputation]:
    """The same for no stage, each single one and all of them; for models on our backbone.

    Raises:
        ConfigError: as :func:`predict_training_memory`, or if the backbone is another.
    """
    if not is_ours(cfg):
        raise ConfigError(key='model.backbone.type', value=_backbone_type(cfg), expected='HRNetBackbone')
    rows: list[Recomputation] = []
    without = 0
    for stages in ((), (1,), (2,), (3,), (4,), (1, 2, 3, 4)):
        changed = deepcopy(cfg)
        changed.model.backbone.with_cp = list(stages)
        step = _Step(changed, shape, amp=amp)
        work = step.work(batch)
        without = without or work
        rows.append(Recomputation(stages, step.memory(batch), work / without - 1))
    return rows


def is_ours(cfg: Config) -> bool:
    """Whether the config's model stands on ``HRNetBackbone``."""
    return str(_backbone_type(cfg)).rpartition('.')[2] == 'HRNetBackbone'


def _backbone_type(cfg: Config) -> Any:
    return ((cfg.get('model') or {}).get('backbone') or {}).get('type')


def batch_of(cfg: Config) -> int:
    """Images per step and process, as the config says.

    Raises:
        ConfigError: if it does not say.
    """
    batch = (cfg.get('train_dataloader') or {}).get('batch_size')
    if batch is None:
        raise ConfigError(key='train_dataloader.batch_size', value=batch, expected='a number, or --batch')
    return int(batch)


class _Step:
    """A config's training step on tensors without numbers, for any batch."""

    def __init__(self, cfg: Config, shape: Shape | None, *, amp: bool) -> None:
        self.model: Any = build_model(cfg, device='meta')
        self.views = task_configs(cfg)
        self.shapes = task_shapes(cfg, shape)
        self.one_task_a_step = bool((cfg.get('train_cfg') or {}).get('shares'))
        self.amp = amp
        # autocast passes the meta device by; fake tensors of a CPU hold no numbers either, but take longer
        self.fake = FakeTensorMode(allow_non_fake_inputs=True) if amp else nullcontext()
        with self.fake:
            self.model.to_empty(device='cpu' if amp else 'meta')
        self.optimizer = _optimizer(cfg, self.model)

    def memory(self, batch: int | None) -> TrainingMemory:
        """What is alive in a step after the first; where a step is of one task, in that of the largest."""
        images = self._images(batch)
        steps = [{task: x} for task, x in images.items()] if self.one_task_a_step else [images]
        with self.fake:
            for step in steps:
                self._run(step)  # the optimizer's state appears
        self.optimizer.zero_grad(set_to_none=True)
        return max(map(self._memory, steps), key=lambda memory: memory.peak)

    def _memory(self, images: Mapping[str, Tensor]) -> TrainingMemory:
        with self.fake:
            model = [*self.model.parameters(), *self.model.buffers()]
            values = (value for state in self.optimizer.state.values() for value in state.values())
            state = [value for value in values if isinstance(value, Tensor)]
            with PeakMemory([*model, *state, *images.values()]) as memory:
                self._run(images)
        gradients = bytes_of(p.grad for p in self.model.parameters() if p.grad is not None)
        self.optimizer.zero_grad(set_to_none=True)
        weights, states = bytes_of(model), bytes_of(state)
        activations = memory.peak - weights - states
        count = sum(map(len, images.values()))
        return TrainingMemory(count, weights, gradients, states, activations, memory.peak)

    def work(self, batch: int | None) -> int:
        """Floating point operations of a step's convolutions and matrix products."""
        images = self._images(batch)
        with self.fake, FlopCounterMode(display=False) as counter:
            self._run(images)
        self.optimizer.zero_grad(set_to_none=True)
        return int(counter.get_total_flops())

    def _images(self, batch: int | None) -> dict[str, Tensor]:
        """Task -> its images; where tasks share their input, the same ones."""
        images: dict[str, Tensor] = {}
        for task, view in self.views.items():
            first = next(iter(images.values()), None)
            if first is not None and self.model.shared_input:
                images[task] = first
            else:
                count = batch_of(view) if batch is None else batch
                with self.fake:
                    images[task] = empty_image(self.model, self.shapes[task], batch=count)
        return images

    def _run(self, images: Mapping[str, Tensor]) -> None:
        self.model.train()
        is_joint = '' not in images
        sharing = self.model.shared_maps(self.model.shared_input) if is_joint else nullcontext()
        try:
            with QuickNorms():
                with torch.autocast('cpu', dtype=torch.bfloat16, enabled=self.amp), sharing:
                    losses = []
                    for task, x in images.items():
                        part = self.model.tasks[task] if is_joint else self.model
                        rois = default_rois(part, training=True)
                        losses.append(_loss(part, run(part, x, rois), x))
                torch.stack(losses).sum().backward()
                self.optimizer.step()
        except RuntimeError as error:  # what autograd raises
            raise ConfigError(
                key='model.type',
                value=type(self.model).__name__,
                expected=f'a model that can be trained ({one_line(error)})',
            ) from error


def _loss(model: nn.Module, outputs: Any, images: Tensor) -> Tensor:
    """One number from the heads' outputs, by way of tensors as large as those of the model's own losses."""
    if not hasattr(model, 'decode_head'):
        return total_of(outputs)
    labels = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.long, device=images.device)
    maps = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
    # a segmentor compares with labels at the image's size
    enlarged = [F.interpolate(x, size=labels.shape[1:], mode='bilinear') for x in maps]
    return torch.stack([F.cross_entropy(x, labels) for x in enlarged]).sum()


def _optimizer(cfg: Config, model: nn.Module) -> Any:
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        raise ConfigError(key='optim_wrapper', value=None, expected='a config with an optimizer')
    of_amp = ('dtype', 'loss_scale', 'use_fp16')
    plain = {key: deepcopy(value) for key, value in wrapper.items() if key not in of_amp}
    plain['type'] = 'OptimWrapper'
    with DefaultScope.overwrite_default_scope(require_scope(cfg)):
        return build_optim_wrapper(model, plain).optimizer


def training_memory_as_text(
    cfg: Config, shape: Shape | None, *, batch: int | None, amp: bool, gib: float | None
) -> str:
    """The prediction, the largest batch where ``gib`` is given, and what each stage's recomputation does.

    Raises:
        ConfigError: as :func:`predict_training_memory`.
    """
    memory = predict_training_memory(cfg, shape, batch=batch, amp=amp)
    precision = 'bfloat16 where autocast uses it' if amp else 'float32'
    sizes = ' and '.join(dict.fromkeys(f'{h}x{w}' for h, w in task_shapes(cfg, shape).values()))
    lines = [
        f'one process, {memory.batch} images of {sizes}, {precision}',
        f'weights and statistics  {_gib(memory.weights)}',
        f'gradients               {_gib(memory.gradients)}',
        f'optimizer state         {_gib(memory.optimizer)}',
        f'peak, features included {_gib(memory.peak)}',
    ]
    if gib:
        largest = largest_batch(cfg, shape, gib=gib, amp=amp)
        fits = f'{largest.batch} (peak {_gib(largest.peak).strip()})' if largest else 'not even one image'
        lines.append(f'largest batch in {gib:g} GiB: {fits}')
    if is_ours(cfg):
        rows = recomputations(cfg, shape, batch=batch, amp=amp)
        lines += ['', 'recomputed (model.backbone.with_cp)   peak        saved   work']
        for row in rows:
            name, saved = str(row.stages or 'nothing'), 1 - row.memory.peak / rows[0].memory.peak
            lines.append(f'{name:36} {_gib(row.memory.peak)} {saved:6.1%} {row.extra_work:+6.1%}')
    return '\n'.join(lines)


def _gib(size: int) -> str:
    return f'{size / GIB:7.2f} GiB'
