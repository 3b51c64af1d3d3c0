"""What a folder holds: the request that filled it and every file written for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = 'manifest.json'
_FORMAT = 'hrnet_mm.synthetic'

#: Counts up whenever the same request would draw other bytes than before.
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for; equal requests draw equal bytes."""

    train: int
    val: int
    size: tuple[int, int]
    seed: int
    people: tuple[int, int]
    version: int = VERSION

    @property
    def record(self) -> dict[str, object]:
        """The request as JSON holds it."""
        return {**asdict(self), 'size': list(self.size), 'people': list(self.people)}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`request` is as JSON holds it; `files` are relative to the folder, with forward slashes.

    It is written before the first file (`complete` False) and again after the last, so a run that
    was broken off can be told from a finished one and from somebody else's folder.
    """

    request: dict[str, object]
    files: Sequence[str]
    complete: bool

    def write(self, root: Path) -> None:
        """Write the manifest into its folder."""
        content = {'format': _FORMAT, **asdict(self)}
        (root / NAME).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')

    def is_whole(self, root: Path) -> bool:
        """Whether the run was finished and every file is still there."""
        return self.complete and all((root / name).is_file() for name in self.files)

    def remove_files(self, root: Path) -> None:
        """Remove the listed files, the manifest, and the folders this leaves empty; no others."""
        base = root.resolve()
        paths = [root / name for name in self.files]
        for path in paths:
            if not path.parent.resolve().is_relative_to(base):
                raise ValueError(f'{root / NAME} lists {path}, expected only files inside {root}')
        for path in paths:
            path.unlink(missing_ok=True)
        (root / NAME).unlink()
        folders = {folder for path in paths for folder in path.parents if root in folder.parents}
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def read_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder, or None where there is none of ours."""
    try:
        content = json.loads((root / NAME).read_text(encoding='utf-8'))
        if content['format'] != _FORMAT:
            return None
        return Manifest(
            request=dict(content['request']),
            files=[str(name) for name in content['files']],
            complete=content['complete'] is True,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
