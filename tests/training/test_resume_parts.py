"""Parts of exact resuming: data from any iteration on, and which checkpoint a run goes on from."""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from hrnet_mm.training.checkpoint_hook import WholeCheckpointHook, newest_whole
from hrnet_mm.training.resume import begin_after, numbered_loader, seed_step

SIZE, BATCH, SEED = 10, 4, 5


class Draws(Dataset):
    """Samples that hold their index and a number from each source of chance."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> list[float]:
        assert type(index) is int
        self.read.append(index)
        return [index, random.random(), np.random.rand(), torch.rand(()).item()]


def loader_of(
    sampler: str, *, endless: bool, skip: int = 0, first: int = 0, workers: int = 0
) -> tuple[DataLoader, Any]:
    settings = dict(
        batch_size=BATCH,
        num_workers=workers,
        dataset=Draws(),
        sampler=dict(type=sampler, shuffle=True),
        collate_fn=list,
    )
    old = Runner.build_dataloader({**settings, 'collate_fn': dict(type='pseudo_collate')}, seed=1)
    new, numbered = numbered_loader(old, settings, seed=SEED, fetch_seed=SEED, rank=0, endless=endless)
    numbered.first, numbered.skip = first, skip
    return new, numbered


def batches(loader: DataLoader, count: int) -> list[Any]:
    return [[[float(x) for x in values] for values in batch] for batch in itertools.islice(loader, count)]


def indices(found: list[Any]) -> list[int]:
    return [int(index) for batch in found for index in batch[0]]


def test_order_is_mmengines_also_from_one_epoch_to_the_next() -> None:
    loader, _ = loader_of('InfiniteSampler', endless=True)
    expected = itertools.islice(InfiniteSampler(range(SIZE), seed=SEED), 7 * BATCH)
    assert indices(batches(loader, 7)) == list(expected)
    loader, _ = loader_of('DefaultSampler', endless=True)
    sampler = DefaultSampler(range(SIZE), seed=SEED)
    epochs: list[int] = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs += list(sampler)
    found = batches(loader, 9)  # passes of 4, 4 and 2
    assert indices(found) == epochs
    assert [len(batch[0]) for batch in found] == [4, 4, 2] * 3


@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
@pytest.mark.parametrize('workers', [0, 2])
def test_beginning_later_gives_the_same_samples(sampler: str, workers: int) -> None:
    whole = batches(loader_of(sampler, endless=True)[0], 8)
    later = batches(loader_of(sampler, endless=True, skip=5, workers=workers)[0], 3)
    assert later == whole[5:]
    drawn = {value for batch in whole for values in batch[1:] for value in values}
    assert len(drawn) == 3 * len(indices(whole))  # no two alike


def test_nothing_is_read_for_what_is_skipped() -> None:
    loader, _ = loader_of('InfiniteSampler', endless=True, skip=70_000)
    data: Any = loader.dataset
    iterator = begin_after(loader, 70_000)
    assert all(next(iterator) is None for _ in range(70_000))
    assert data.read == []
    assert indices([next(iterator)]) == data.read
    begin = 70_000 * BATCH
    assert data.read == list(itertools.islice(InfiniteSampler(range(SIZE), seed=SEED), begin, begin + BATCH))


def test_steps_have_seeds_of_their_own() -> None:
    def draw(seed: int, iteration: int) -> list[float]:
        seed_step(seed, iteration)
        return [random.random(), np.random.rand(), torch.rand(()).item()]

    assert draw(SEED, 3) == draw(SEED, 3)
    values = [value for seed in (0, 1) for iteration in range(50) for value in draw(seed, iteration)]
    assert len(set(values)) == len(values)


# --- Which checkpoint


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def turn_one_bit(path: Path) -> None:
    """In the middle of the weights, where torch.load does not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)


def only_weights(path: Path) -> None:
    torch.save({'state_dict': {'weight': torch.ones(3)}}, path)


#: What happened to the newest checkpoint, and what is said of it.
DAMAGES: dict[Callable[[Path], None], str] = {
    Path.unlink: 'is not there',
    cut: 'is damaged',
    turn_one_bit: 'wrong checksum of',
    only_weights: 'holds no meta, message_hub',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of epochs 2, 9 and 10, of which 10 is the last."""
    entries = {'meta': {}, 'state_dict': {'weight': torch.arange(5000.0)}, 'message_hub': {}}
    for name in ('epoch_2', 'epoch_9', 'epoch_10', 'best_AP_epoch_11'):
        torch.save(entries, tmp_path / f'{name}.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


def choose(folder: Path) -> tuple[str | None, list[str]]:
    return newest_whole(folder, folder, template='epoch_{}.pth')


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda damage: damage.__name__)
def test_the_newest_whole_one_where_the_last_is_not(damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder / 'epoch_10.pth')
    chosen, (passed,) = choose(folder)
    assert chosen == str(folder / 'epoch_9.pth')
    assert passed.startswith(f'{folder / "epoch_10.pth"} ') and DAMAGES[damage] in passed


@pytest.mark.parametrize('content', [None, '/somewhere/else/epoch_10.pth', '\0\0\0', '\x80'])
def test_without_a_usable_record_the_folder_decides(content: str | None, folder: Path) -> None:
    record = folder / 'last_checkpoint'
    record.unlink() if content is None else record.write_text(content, 'latin-1')
    assert choose(folder)[0] == str(folder / 'epoch_10.pth')


def test_the_recorded_one_comes_first_and_none_where_none_is_whole(folder: Path) -> None:
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_9.pth'))
    assert choose(folder) == (str(folder / 'epoch_9.pth'), [])
    for epoch in (2, 9, 10):
        cut(folder / f'epoch_{epoch}.pth')
    chosen, passed = choose(folder)
    assert chosen is None and len(passed) == 3


@pytest.mark.parametrize('names', [['AP'], ['AP', 'AR']])
def test_the_previous_best_goes_once_the_new_one_is_there(names: list[str], tmp_path: Path) -> None:
    beside: dict[str, list[str]] = {}

    def save(folder: str, filename: str, *_: Any, **__: Any) -> None:
        beside[filename] = sorted(path.stem for path in tmp_path.glob('best_*'))
        (Path(folder) / filename).touch()

    runner: Any = SimpleNamespace(
        work_dir=str(tmp_path),
        message_hub=MessageHub.get_instance(f'best of {names}'),
        logger=logging.getLogger('best'),
        save_checkpoint=save,
        iter=0,
        _resume=False,
    )
    hook = WholeCheckpointHook(save_best=names if len(names) > 1 else names[0], rule='greater')
    hook.before_train(runner)
    for runner.epoch, value in ((1, 0.1), (2, 0.0), (3, 0.3), (4, 0.2)):
        hook._save_best_checkpoint(runner, dict.fromkeys(names, value))
    assert sorted(path.stem for path in tmp_path.glob('best_*')) == [f'best_{name}_epoch_3' for name in names]
    assert all(f'best_{name}_epoch_1' in beside[f'best_{name}_epoch_3.pth'] for name in names)
