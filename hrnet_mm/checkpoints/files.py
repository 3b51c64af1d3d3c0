"""Checkpoint files are whole or absent, and the one error for those that cannot be used."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import find_latest_checkpoint

from ..utils import UNFINISHED, atomic_write

#: What a full disk, a full quota and a limit on file sizes are called.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, written or loaded; nothing of it has been loaded.

    Args:
        source: The file, or whatever else the weights come from.
        problem: What is wrong with it.
        expected: What would have been right.
    """

    def __init__(self, source: object, problem: str, expected: str) -> None:
        super().__init__(str(source), problem, expected)
        self.source = str(source)
        self.problem = problem
        self.expected = expected

    def __str__(self) -> str:
        problem = ' '.join(self.problem.splitlines())  # keys that it quotes may hold line breaks
        return f'checkpoint {self.source}: {problem}; expected {self.expected}'


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically: killed at any moment, this leaves the old file or the new one.

    Raises:
        CheckpointError: it cannot be written; what was at ``path`` is as before.
    """
    try:
        with atomic_write(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        size = f'{len(content) / 1e6:.1f} MB needed{_room(Path(path).parent)}'
        raise CheckpointError(
            source=path,
            problem=f'cannot be written ({error.strerror}; {size})',
            expected='a folder with room for it that can be written to',
        ) from error


@register_backend('hrnet_mm.whole')  # the name of 0.1, which goes with hrnet_mm 0.3
@register_backend('hrnet_mm.atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's local files, written atomically: ``backend_args=dict(backend='hrnet_mm.atomic')``."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Raises:
            CheckpointError: it cannot be written; what was at ``filepath`` is as before.
        """
        write_bytes(filepath, obj)


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Remove what was left of checkpoints in a folder when their writing was killed."""
    for pattern in ('*.pth', 'last_checkpoint'):
        for path in Path(folder).glob(pattern + UNFINISHED):
            path.unlink(missing_ok=True)


def full_disk(error: OSError, work_dir: str | os.PathLike[str]) -> CheckpointError | None:
    """The error of a full disk, met in training by something else than a checkpoint, in one line.

    Returns:
        What to raise instead; None where the disk is not full.
    """
    if error.errno not in _NO_ROOM:
        return None
    return CheckpointError(
        source=error.filename or work_dir,
        problem=f'cannot be written ({error.strerror}{_room(Path(work_dir))})',
        expected=f'room to write to; {advice(find_latest_checkpoint(str(work_dir)))}',
    )


def advice(previous: str | None) -> str:
    """What is left after a failure to write, and how to go on.

    Args:
        previous: The last checkpoint that was written, if there is one.
    """
    if previous is None:
        return 'no checkpoint had been written yet'
    return f'the previous checkpoint {previous} is intact, and --resume continues from it'


def _room(folder: Path) -> str:
    try:
        return f', {shutil.disk_usage(folder).free / 1e6:.1f} MB free'
    except OSError:
        return ''
