"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import find_latest_checkpoint

from .errors import CheckpointError

#: ends the name of a file that is being written
ASIDE = '.tmp'
#: what a full disk, a full quota and a limit on file sizes are called
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file aside, bring it to the disk, and then give it its name.

    Killed at any moment, even by a power cut, this leaves the old file or the new one.

    Raises:
        CheckpointError: it cannot be written; what was at ``path`` is as before.
    """
    target = Path(path)
    aside = target.with_name(target.name + ASIDE)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with aside.open('wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
        _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise _not_written(target, len(content), error) from error


@register_backend('hrnet_mm.whole')
class WholeFileBackend(LocalBackend):
    """MMEngine's local files, written by ``write_whole``: ``backend_args=dict(backend='hrnet_mm.whole')``."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Raises:
            CheckpointError: as ``write_whole``.
        """
        write_whole(filepath, obj)


def remove_unfinished(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what ``write_whole`` left in a folder when it was killed.

    Returns:
        The files that are gone.
    """
    unfinished = [*Path(folder).glob(f'*.pth{ASIDE}'), *Path(folder).glob(f'last_checkpoint{ASIDE}')]
    for path in unfinished:
        path.unlink(missing_ok=True)
    return unfinished


@contextmanager
def told_when_full(work_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the error of a full disk, met in training by something else than a checkpoint, into one line.

    Raises:
        CheckpointError: instead of the ``OSError``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise CheckpointError(
            source=error.filename or work_dir,
            problem=f'cannot be written ({error.strerror}{_room(Path(work_dir))})',
            expected=f'room to write to; {advice(find_latest_checkpoint(str(work_dir)))}',
        ) from error


def advice(whole: str | None) -> str:
    """What is left after a failure to write, and how to go on."""
    if whole is None:
        return 'no checkpoint had been written yet'
    return f'the previous checkpoint {whole} is intact, and --resume continues from it'


def _not_written(target: Path, needed: int, error: OSError) -> CheckpointError:
    size = f'{needed / 1e6:.1f} MB needed{_room(target.parent)}'
    return CheckpointError(
        source=target,
        problem=f'cannot be written ({error.strerror}; {size})',
        expected='a folder with room for it that can be written to',
    )


def _room(folder: Path) -> str:
    try:
        return f', {shutil.disk_usage(folder).free / 1e6:.1f} MB free'
    except OSError:
        return ''


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
