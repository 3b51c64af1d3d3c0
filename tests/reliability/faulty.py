"""A model that breaks when told to, on numbered images that exist in memory alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['hrnet_mm', 'faulty'], allow_failed_imports=False)
model = dict(type='BreaksDown', faults={faults})
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(type='NumberedImages', length={length}),
                        sampler=dict(type='DefaultSampler', shuffle=False),
                        collate_fn=dict(type='pseudo_collate'))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.1),
                     accumulative_counts={accumulative_counts})
train_cfg = dict(type='IterBasedTrainLoop', max_iters={iterations})
default_hooks = dict(logger=dict(type='LoggerHook', interval=1),
                     checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False, max_keep_ckpts=1),
                     finite=dict(type='hrnet_mm.FiniteLossHook', skip_up_to={skip_up_to}))
randomness = dict(seed=0)
"""


def write_config(
    folder: Path,
    faults: Mapping[int, str],
    *,
    iterations: int = 6,
    skip_up_to: int = 0,
    accumulative_counts: int = 1,
) -> Path:
    """A config of batches of two images; ``faults`` are by batch, counted from 1."""
    path = folder / 'faulty_run.py'
    text = CONFIG.format(
        faults=dict(faults),
        length=2 * iterations,
        iterations=iterations,
        skip_up_to=skip_up_to,
        accumulative_counts=accumulative_counts,
    )
    path.write_text(text)
    return path


@DATASETS.register_module(force=True)
class NumberedImages(BaseDataset):
    """Image ``i`` is a vector that is a function of ``i``; it says that it came from ``<i>.jpg``."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__()

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{'img_path': f'{index}.jpg'} for index in range(self.length)]

    def prepare_data(self, index: int) -> dict[str, Any]:
        sample = BaseDataElement(metainfo=dict(img_path=f'{index}.jpg', number=index))
        return {'inputs': torch.sin(torch.arange(4.0) * (index + 1)), 'data_samples': sample}


class _BreakGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * float('nan')


@MODELS.register_module(force=True)
class BreaksDown(BaseModel):
    """A norm and two linear layers; broken images go through the norm, as they do in real life.

    Args:
        faults: batch, counted from 1 -> ``'nan'`` or ``'inf'`` (in ``loss_b``), ``'image'`` (NaN in an image)
            or ``'gradient'`` (NaN in the backward pass alone).
    """

    def __init__(self, faults: Mapping[int, str]) -> None:
        super().__init__()
        self.faults = {int(batch): kind for batch, kind in faults.items()}
        self.norm = nn.BatchNorm1d(4)
        self.a = nn.Linear(4, 1)
        self.b = nn.Linear(4, 1)

    def forward(self, inputs: Any, data_samples: Sequence[Any] = (), mode: str = 'tensor') -> Any:
        x = torch.stack(list(inputs))
        if mode != 'loss':
            return self.a(x)
        fault = self.faults.get(data_samples[0].number // 2 + 1)
        if fault == 'image':
            x = x * float('nan')
        x = self.norm(x)
        if fault == 'gradient':
            x = _BreakGradient.apply(x)
        scale = float(fault) if fault in ('nan', 'inf') else 1.0
        return {
            'loss_a': self.a(x).square().mean(),
            # of several levels, as detectors give them
            'loss_b': [scale * (1 + self.b(x).square()), self.b(x).abs()],
            'accuracy': x.new_tensor(float('nan')),  # no loss: of no concern
        }
