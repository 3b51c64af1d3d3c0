"""One picture of all tasks: a val image per row, truth and prediction side by side per task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..config.errors import ConfigError
from ..pictures.browse import spread
from ..pictures.canvas import Image, captioned, page_of, read_image, write_image

_GAP = 16  # pixels
_TEXT = 18  # pixels


def write_overview(path: Path, folders: Mapping[str, Path], *, rows: int = 4) -> Path:
    """Tile the pictures of several tasks.

    Args:
        path: PNG file to write.
        folders: task name -> folder of truth-beside-prediction pictures, the same scenes in the same
            order of names in each.
        rows: number of scenes.

    Returns:
        ``path``.

    Raises:
        ValueError: a folder without pictures, or a file in it that is none.
    """
    files = {
        folder: sorted(p for p in folder.rglob('*') if p.suffix in ('.png', '.jpg'))
        for folder in folders.values()
    }
    if empty := [str(folder) for folder, found in files.items() if not found]:
        raise ValueError(f'no pictures in {", ".join(empty)}; expected those of a test run with show_dir')
    cells = []
    for row in range(min(rows, *map(len, files.values()))):
        for name, folder in folders.items():
            picture = _read(files[folder][spread(len(files[folder]), rows)[row]])
            cells.append(captioned(picture, [] if row else [name], size=_TEXT))
    write_image(path, page_of(cells, gap=_GAP, columns=len(folders)))
    return path


def _read(path: Path) -> Image:
    try:
        return read_image(str(path))
    except ConfigError as error:
        raise ValueError(f'{path} is not a picture; expected one written by the test run') from error
