"""Runs of MMEngine's Runner as short as they can be, with everything that a real one writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from peers import build_ours

OUR_HOOK = dict(weights=dict(type='hrnet_mm.HRNetWeightsHook'))
#: As mmpose's data sets hold it, of every type.
METAINFO = dict(
    classes=('person',),
    sigmas=np.linspace(0.02, 0.1, 17, dtype=np.float32),
    colors=np.arange(6, dtype=np.uint8).reshape(2, 3),
    seen=np.array([True, False]),
    scale=np.float64(1.5),
    count=np.int64(3),
    links={0: dict(link=('a', 'b'), id=0)},
)


class Learner(BaseModel):
    """The least that trains an HRNet."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = build_ours('mmseg')

    def forward(self, inputs: list[torch.Tensor], mode: str = 'tensor') -> Any:
        return dict(loss=self.backbone(torch.stack(inputs))[0].square().mean())


class Pictures(list[dict[str, torch.Tensor]]):
    metainfo = METAINFO

    def __init__(self) -> None:
        super().__init__(dict(inputs=torch.full((3, 32, 32), float(i))) for i in range(8))


def runner_of(model: Any, folder: Path, **kwargs: Any) -> Runner:
    kwargs.setdefault('default_hooks', OUR_HOOK)
    name = f'{folder.name}-{len(list(folder.iterdir()))}'
    return Runner(model, work_dir=str(folder / 'work'), log_level='ERROR', experiment_name=name, **kwargs)


def training(
    model: Any, folder: Path, *, iterations: int, hooks: dict[str, Any] = OUR_HOOK, **kwargs: Any
) -> Runner:
    """Saves ``work/iter_N.pth`` after each iteration."""
    sampler = dict(type='DefaultSampler', shuffle=True)
    checkpoint = dict(type='CheckpointHook', interval=1, by_epoch=False)
    return runner_of(
        model,
        folder,
        train_dataloader=dict(batch_size=2, dataset=Pictures(), sampler=sampler),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        default_hooks=hooks | dict(checkpoint=checkpoint),
        **kwargs,
    )
