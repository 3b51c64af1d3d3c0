"""People as skeletons."""

from __future__ import annotations

import cv2
import numpy as np

from ..inference.sources import Image
from .metadata import Metadata
from .predictions import Numbers, Poses
from .strokes import BLACK, Strokes, strokes_for

_FAR = 2**20  # pixels: what OpenCV draws to must be a small number, wherever a network points


def draw_poses(canvas: Image, poses: Poses, metadata: Metadata, *, least_score: float) -> None:
    """Limbs and joints in the data set's colours, those alone whose keypoints have ``least_score``."""
    strokes = strokes_for(canvas)
    for points, scores in zip(poses.keypoints, poses.scores, strict=True):
        seen = (scores >= least_score) & np.isfinite(points).all(axis=1)
        _draw_limbs(canvas, points, seen, metadata, strokes)
        _draw_joints(canvas, points, seen, metadata, strokes)


def _draw_limbs(
    canvas: Image, points: Numbers, seen: np.ndarray, metadata: Metadata, strokes: Strokes
) -> None:
    for (start, end), colour in zip(metadata.links, metadata.link_colours, strict=True):
        if seen[start] and seen[end]:
            ends = _pixel(points[start]), _pixel(points[end])
            cv2.line(canvas, *ends, BLACK, strokes.line + 2, cv2.LINE_AA)  # stands out on any ground
            cv2.line(canvas, *ends, colour, strokes.line, cv2.LINE_AA)


def _draw_joints(
    canvas: Image, points: Numbers, seen: np.ndarray, metadata: Metadata, strokes: Strokes
) -> None:
    for point, colour, is_seen in zip(points, metadata.colours, seen, strict=False):
        if is_seen:
            cv2.circle(canvas, _pixel(point), strokes.joint + 1, BLACK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(canvas, _pixel(point), strokes.joint, colour, cv2.FILLED, cv2.LINE_AA)


def _pixel(point: Numbers) -> tuple[int, int]:
    x, y = np.clip(point, -_FAR, _FAR).round().astype(int)
    return int(x), int(y)
