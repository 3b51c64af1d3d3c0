"""A loss that breaks on one process of two: both decide alike, and know whose images they were."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faulty
import pytest
import torch
from children import Child
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import distributed

from hrnet_mm.training.finite_loss_hook import FiniteLossHook, NumericFault

SECONDS = 60


def process(rank: int, store: Path, *, broken: int, kind: str, skip_up_to: int) -> dict[str, Any]:
    """Three steps of a model of which the second breaks on process ``broken``."""
    distributed.init_process_group('gloo', init_method=f'file://{store}', rank=rank, world_size=2)
    torch.manual_seed(0)
    model = MMDistributedDataParallel(faulty.BreaksDown({2: kind} if rank == broken else {}))
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    images = faulty.NumberedImages(6)
    runner: Any = SimpleNamespace(
        model=model, optim_wrapper=wrapper, logger=logging.getLogger('two'), iter=0, _resume=False,
        message_hub=SimpleNamespace(runtime_info={'last_ckpt': 'iter_1.pth'}),
    )  # fmt: skip
    hook = FiniteLossHook(skip_up_to=skip_up_to)
    hook.before_train(runner)
    fault = None
    try:
        for step in range(3):
            runner.iter = step
            pair = [images[2 * step], images[2 * step + 1]]
            batch = {key: [one[key] for one in pair] for key in pair[0]}
            for index, sample in enumerate(batch['data_samples']):
                sample.set_metainfo(dict(img_path=f'rank{rank}/{index}.jpg'))
            hook.before_train_iter(runner, step, batch)
            outputs = model.train_step(batch, wrapper)
            hook.after_train_iter(runner, step, batch, outputs)
    except NumericFault as error:
        fault = str(error)
    state = {name: value.tolist() for name, value in model.module.state_dict().items()}
    return {'fault': fault, 'weights': state, 'skipped': hook.skipped, 'step': runner.iter + 1}


def both(store: Path, **settings: Any) -> list[dict[str, Any]]:
    children = [Child(lambda rank=rank: process(rank, store, **settings)) for rank in range(2)]
    return [child.result(seconds=SECONDS) for child in children]


@pytest.mark.parametrize('broken', [0, 1])
def test_all_stop_and_name_the_images_of_the_broken_one(broken: int, tmp_path: Path) -> None:
    first, second = both(tmp_path / 'store', broken=broken, kind='nan', skip_up_to=0)
    assert first['fault'] == second['fault'] == (
        f'iteration 2: loss_b = nan; images of the batch: rank{broken}/0.jpg, rank{broken}/1.jpg; '
        'last good checkpoint: iter_1.pth'
    )  # fmt: skip
    assert first['step'] == second['step'] == 2


@pytest.mark.parametrize('kind', ['image', 'gradient'])
def test_all_leave_out_the_step_and_learn_on_together(kind: str, tmp_path: Path) -> None:
    first, second = both(tmp_path / 'store', broken=1, kind=kind, skip_up_to=1)
    assert (first['fault'], first['skipped'], first['step']) == (None, 1, 3)
    assert (second['fault'], second['skipped'], second['step']) == (None, 1, 3)
    for name in ('a.weight', 'b.weight', 'norm.weight'):
        assert first['weights'][name] == second['weights'][name]
    assert torch.tensor(second['weights']['norm.running_mean']).isfinite().all()
