"""A file is the old one or the new one, whatever goes wrong while it is written; errors travel."""

from __future__ import annotations

import errno
import os
import pickle
import re
from pathlib import Path

import pytest
from mmengine.fileio import get_file_backend

from hrnet_mm.checkpoints import CheckpointError
from hrnet_mm.checkpoints.files import full_disk, remove_unfinished, write_bytes


@pytest.mark.parametrize('backend', ['hrnet_mm.atomic', 'hrnet_mm.whole'])
def test_written_and_overwritten(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the backend's old name too, which configs hold; what is on the disk gets its name last."""
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
    path = tmp_path / 'new' / 'a.pth'
    for content in (b'one', b'two'):
        get_file_backend(path, backend_args={'backend': backend}).put(content, path)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ['a.pth']
    assert steps == ['a.pth.tmp', 'a.pth.tmp -> a.pth', 'new'] * 2


@pytest.mark.parametrize(('step', 'number'), [('fsync', errno.ENOSPC), ('replace', errno.EIO)])
def test_a_failure_leaves_the_old_file_alone(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'a.pth'
    write_bytes(path, b'old')

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    said = rf'a\.pth: cannot be written \({os.strerror(number)}; 3\.0 MB needed, [0-9.]+ MB free\); expected'
    with pytest.raises(CheckpointError, match=said):
        write_bytes(path, bytes(3_000_000))
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.pth']


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ('epoch_1.pth.tmp', 'last_checkpoint.tmp', 'epoch_1.pth', 'last_checkpoint', 'notes.tmp'):
        (tmp_path / name).write_text('')
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['epoch_1.pth', 'last_checkpoint', 'notes.tmp']


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_met_by_a_log_is_told_too(number: int, tmp_path: Path) -> None:
    (tmp_path / 'last_checkpoint').write_text('run/epoch_3.pth')
    said = rf'scalars\.json: cannot be written \({os.strerror(number)}.* run/epoch_3\.pth is intact, and --re'
    told = full_disk(OSError(number, os.strerror(number), 'run/scalars.json'), tmp_path)
    assert re.search(said, str(told))
    assert full_disk(FileNotFoundError(errno.ENOENT, 'gone'), tmp_path) is None


def test_the_error_travels_between_processes() -> None:
    error = CheckpointError(source='a.pth', problem='is empty', expected='weights')
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == 'checkpoint a.pth: is empty; expected weights'
    assert (again.source, again.problem, again.expected) == ('a.pth', 'is empty', 'weights')
