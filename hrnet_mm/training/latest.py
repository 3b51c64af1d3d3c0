"""Which checkpoint to resume from: the last one, or the newest that is whole."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ..checkpoints import CheckpointError
from ..checkpoints.reading import load_file

#: without which MMEngine cannot resume
_ENTRIES = ('meta', 'state_dict', 'message_hub')


def newest_whole(
    work_dir: str | os.PathLike[str], folder: str | os.PathLike[str], *, template: str
) -> tuple[str | None, list[str]]:
    """The checkpoint that ``last_checkpoint`` names or, where that is not whole, the newest that is.

    Args:
        work_dir: folder of ``last_checkpoint``.
        folder: of the checkpoints.
        template: of their names, as in ``'epoch_{}.pth'``.

    Returns:
        Its path, or None where there is none, and what was passed over, each with the reason.
    """
    passed: list[str] = []
    seen: set[str] = set()
    for path in _candidates(Path(work_dir), Path(folder), template):
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        problem = what_is_wrong(path)
        if problem is None:
            return path, passed
        passed.append(f'{path} {problem}')
    return None, passed


def what_is_wrong(path: str | os.PathLike[str]) -> str | None:
    """Why a checkpoint cannot be resumed from; None where it can.

    The file is read as a whole: torch itself does not compare the checksums that it writes.
    """
    if not os.path.isfile(path):
        return 'is not there'
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                return f'is damaged (wrong checksum of {damaged})'
        content = load_file(path)
    except CheckpointError as error:
        return error.problem
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f'is damaged ({error})'
    absent = [entry for entry in _ENTRIES if not isinstance(content, dict) or entry not in content]
    return f'holds no {", ".join(absent)}' if absent else None


def _candidates(work_dir: Path, folder: Path, template: str) -> Iterator[str]:
    """The one last written, then all of that name from the newest on."""
    record = work_dir / 'last_checkpoint'
    # after a power cut it may hold anything
    last = record.read_text(errors='replace').strip('\0 \n') if record.is_file() else ''
    if last and last.isprintable():
        yield last
    before, _, after = template.partition('{}')
    name = re.compile(rf'{re.escape(before)}(\d+){re.escape(after)}')
    found = ((name.fullmatch(path.name), path) for path in folder.glob('*'))
    numbered = [(int(match.group(1)), str(path)) for match, path in found if match]
    yield from (path for _, path in sorted(numbered, reverse=True))
