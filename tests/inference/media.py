"""Small image and video files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RED = (255, 0, 0)


def write(path: Path, *, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 12)) -> None:
    """An image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), colour, np.uint8)
    assert cv2.imwrite(str(path), image[..., ::-1])


def write_video(path: Path, *, frames: int, size: tuple[int, int] = (64, 96)) -> None:
    """Frames that grow brighter, by 20 each; 10 a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, size[::-1])
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((*size, 3), 20 * number, np.uint8))
    writer.release()
