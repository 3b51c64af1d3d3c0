"""One picture of all tasks: a val image per row, truth and prediction side by side per task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

_GAP = 6
_HEADER = 26
_WHITE = 255


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
        ValueError: a folder without pictures.
    """
    empty = [str(folder) for folder in folders.values() if not _pictures_in(folder)]
    if empty:
        raise ValueError(f'no pictures in {", ".join(empty)}; expected those of a test run with show_dir')
    columns = [_column(name, folder, rows) for name, folder in folders.items()]
    gap = np.full((max(len(c) for c in columns), 2 * _GAP, 3), _WHITE, np.uint8)
    padded = [_pad_below(column, len(gap)) for column in columns]
    tiles = [tile for column in padded for tile in (column, gap)][:-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(tiles, axis=1))
    return path


def _column(name: str, folder: Path, rows: int) -> npt.NDArray[np.uint8]:
    files = _pictures_in(folder)
    pictures = [_read(files[i]) for i in _spread(len(files), rows)]
    height, width = pictures[0].shape[:2]
    tiles = [_header(f'{name}: truth | predicted', width)]
    for picture in pictures:
        tiles += [cv2.resize(picture, (width, height)), np.full((_GAP, width, 3), _WHITE, np.uint8)]
    return np.concatenate(tiles, axis=0)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise ValueError(f'{path} is not a picture; expected one written by the test run')
    return np.asarray(picture, np.uint8)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob('*') if p.suffix in ('.png', '.jpg'))


def _spread(available: int, wanted: int) -> list[int]:
    """Indices spread evenly over what there is."""
    count = min(available, wanted)
    return [i * available // count for i in range(count)]


def _header(text: str, width: int) -> npt.NDArray[np.uint8]:
    header = np.full((_HEADER, width, 3), _WHITE, np.uint8)
    cv2.putText(header, text, (2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return header


def _pad_below(column: npt.NDArray[np.uint8], height: int) -> npt.NDArray[np.uint8]:
    return np.pad(column, ((0, height - len(column)), (0, 0), (0, 0)), constant_values=_WHITE)
