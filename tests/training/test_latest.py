"""Which checkpoint a run is resumed from, whatever happened to the newest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hrnet_mm.training.checkpoint_hook import newest_whole, what_is_wrong


def write_checkpoint(path: Path) -> Path:
    state = {'weight': torch.arange(5000.0)}
    torch.save({'meta': {}, 'state_dict': state, 'message_hub': {}}, path)
    return path


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def turn_one_bit(path: Path) -> None:
    """In the middle of the weights, where torch.load does not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)


def only_weights(path: Path) -> None:
    torch.save({'state_dict': {'weight': torch.ones(3)}}, path)


def another_file(path: Path) -> None:
    path.write_text('<html>Please log in</html>')


#: What happened to the newest checkpoint, and what is said of it.
DAMAGES: dict[Callable[[Path], None], str] = {
    Path.unlink: 'is not there',
    cut: 'is damaged',
    empty: 'is empty',
    turn_one_bit: 'wrong checksum of',
    only_weights: 'holds no meta, message_hub',
    another_file: 'is a web page',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Checkpoints of epochs 2, 9 and 10, of which 10 is the last."""
    for epoch in (2, 9, 10):
        write_checkpoint(tmp_path / f'epoch_{epoch}.pth')
    write_checkpoint(tmp_path / 'best_AP_epoch_11.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_10.pth'))
    return tmp_path


def choose(folder: Path) -> tuple[str | None, list[str]]:
    return newest_whole(folder, folder, template='epoch_{}.pth')


def test_the_last_one_where_it_is_whole(folder: Path) -> None:
    assert choose(folder) == (str(folder / 'epoch_10.pth'), [])


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda damage: damage.__name__)
def test_the_newest_whole_one_where_the_last_is_not(damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder / 'epoch_10.pth')
    chosen, passed = choose(folder)
    assert chosen == str(folder / 'epoch_9.pth')
    assert len(passed) == 1
    assert passed[0].startswith(f'{folder / "epoch_10.pth"} ') and DAMAGES[damage] in passed[0]


@pytest.mark.parametrize('content', [None, '', '/somewhere/else/epoch_10.pth', '\0\0\0', '\x80'])
def test_without_a_usable_record_the_folder_decides(content: str | None, folder: Path) -> None:
    record = folder / 'last_checkpoint'
    record.unlink() if content is None else record.write_text(content, 'latin-1')
    chosen, _ = choose(folder)
    assert chosen == str(folder / 'epoch_10.pth')


def test_none_where_none_is_whole(folder: Path) -> None:
    for epoch in (2, 9, 10):
        cut(folder / f'epoch_{epoch}.pth')
    chosen, passed = choose(folder)
    assert chosen is None and len(passed) == 3


def test_files_of_old_torch_versions_are_whole_too(tmp_path: Path) -> None:
    path = tmp_path / 'old.pth'
    entries = {'meta': {}, 'state_dict': {}, 'message_hub': {}}
    torch.save(entries, path, _use_new_zipfile_serialization=False)
    assert what_is_wrong(path) is None
    cut(path)
    assert 'is damaged' in (what_is_wrong(path) or '')
