"""A file is the old one or the new one, whatever goes wrong while it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from hrnet_mm.checkpoints import CheckpointError, write_whole
from hrnet_mm.checkpoints.whole_files import remove_unfinished, told_when_full

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def test_written_and_overwritten(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'a.pth'
    for content in (b'one', b'two'):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ['a.pth']


def test_backend_writes_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / 'a.pth'
    get_file_backend(path, backend_args={'backend': 'hrnet_mm.whole'}).put(b'one', path)
    assert path.read_bytes() == b'one'


def test_content_and_name_are_brought_to_the_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        steps.append(Path(os.readlink(f'/proc/self/fd/{handle}')).name)
        sync(handle)

    def noted_replace(aside: Path, target: Path) -> None:
        steps.append(f'{aside.name} -> {target.name}')
        replace(aside, target)

    monkeypatch.setattr(os, 'fsync', noted_sync)
    monkeypatch.setattr(os, 'replace', noted_replace)
    write_whole(tmp_path / 'a.pth', b'one')
    assert steps == ['a.pth.tmp', 'a.pth.tmp -> a.pth', tmp_path.name]


@pytest.mark.parametrize('step', ['fsync', 'replace'])
@pytest.mark.parametrize('number', ERRORS, ids=errno.errorcode.get)
def test_a_failure_leaves_the_old_file_alone(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'a.pth'
    write_whole(path, b'old')

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(CheckpointError) as error:
        write_whole(path, bytes(3_000_000))
    assert f'checkpoint {path}: cannot be written ({os.strerror(number)}; 3.0 MB needed, ' in str(error.value)
    assert 'MB free' in str(error.value) and '\n' not in str(error.value)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.pth']


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='cannot be written'):
        write_whole(tmp_path / 'file' / 'a.pth', b'one')


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = ('epoch_1.pth.tmp', 'last_checkpoint.tmp', 'epoch_1.pth', 'last_checkpoint', 'notes.tmp')
    for name in names:
        (tmp_path / name).write_text('')
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['epoch_1.pth', 'last_checkpoint', 'notes.tmp']


def test_a_full_disk_met_by_a_log_is_told_too(tmp_path: Path) -> None:
    (tmp_path / 'last_checkpoint').write_text('run/epoch_3.pth')
    with pytest.raises(CheckpointError) as error, told_when_full(tmp_path):
        raise OSError(errno.ENOSPC, 'No space left on device', 'run/scalars.json')
    assert str(error.value).startswith(
        'checkpoint run/scalars.json: cannot be written (No space left on device'
    )
    assert 'run/epoch_3.pth is intact, and --resume continues from it' in str(error.value)
    with pytest.raises(FileNotFoundError), told_when_full(tmp_path):
        raise FileNotFoundError(errno.ENOENT, 'gone')
