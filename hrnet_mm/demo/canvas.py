"""A canvas that draws the picture and its labels with the same strokes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

RGB = tuple[int, int, int]
Point = tuple[float, float]
Points = Sequence[Point] | npt.NDArray[np.float64]

#: Strokes are drawn this many times larger and averaged down, which smooths their edges. It is odd
#: so that one sub-pixel lies exactly in the middle of each pixel, and labels are read there.
SCALE = 3
#: Codes below this are Cityscapes train ids; instance k's part p is coded (k + 1) * PARTS + p.
PARTS = 100

_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def tint(colour: RGB, factor: float) -> RGB:
    """The colour, `factor` times as bright."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour)
    return red, green, blue


def instance_code(index: int, part: int = 0) -> int:
    """The code drawn for one part of the instance of that index."""
    return (index + 1) * PARTS + part


class SceneCanvas:
    """An RGB picture and a map of codes, (H, W) pixels large and drawn `SCALE` times larger.

    Coordinates and lengths are in pixels of the final picture; whole numbers are pixel centres.
    A `code` of None paints the picture and leaves the labels as they are (markings, windows).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        height, width = size[0] * SCALE, size[1] * SCALE
        self.image: npt.NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
        self.codes: npt.NDArray[np.int32] = np.zeros((height, width), np.int32)

    def polygon(self, points: Points, colour: RGB, code: int | None = None) -> None:
        """Fill the polygon through `points`, (n, 2) as x, y."""
        self._fill(cv2.fillPoly, [_enlarge(points)], colour=colour, code=code)

    def hull(self, points: Points, colour: RGB, code: int | None = None) -> None:
        """Fill the convex hull of `points`, (n, 2) as x, y."""
        self._fill(cv2.fillConvexPoly, cv2.convexHull(_enlarge(points)), colour=colour, code=code)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: RGB, code: int | None = None) -> None:
        """Fill the upright rectangle between two corners."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, code)

    def ellipse(self, centre: Point, radii: Point, colour: RGB, code: int | None = None) -> None:
        """Fill the upright ellipse with radii (x, y)."""
        axes = [max(1, round(radius * SCALE)) for radius in radii]
        draw = partial(cv2.ellipse, thickness=cv2.FILLED)
        self._fill(draw, _enlarge(centre).tolist(), axes, 0, 0, 360, colour=colour, code=code)

    def capsule(self, start: Point, end: Point, radii: Point, colour: RGB, code: int | None = None) -> None:
        """Fill a limb: the hull of a circle about `start` and one about `end`."""
        circles = [centre + radius * _CIRCLE for centre, radius in zip((start, end), radii, strict=True)]
        self.hull(np.concatenate(circles), colour, code)

    def line(self, points: Points, width: float, colour: RGB) -> None:
        """Draw a line through `points` on the picture alone."""
        cv2.polylines(self.image, [_enlarge(points)], False, colour, max(1, round(width * SCALE)))

    def darken(self, centre: Point, radii: Point, factor: float) -> None:
        """Cast a shadow: an upright ellipse in which the picture is `factor` times as bright."""
        middle, reach = np.array(centre), np.array(radii)
        (x0, y0), (x1, y1) = _enlarge([middle - reach, middle + reach]).clip(0).tolist()
        patch = self.image[y0 : y1 + 1, x0 : x1 + 1]
        rows, columns = np.ogrid[y0 : y0 + patch.shape[0], x0 : x0 + patch.shape[1]]
        (x, y), (wide, high) = _enlarge(middle), reach * SCALE
        inside = ((columns - x) / wide) ** 2 + ((rows - y) / high) ** 2 <= 1
        patch[inside] = (patch[inside] * factor).astype(np.uint8)

    def smooth_image(self) -> npt.NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 RGB, averaged down."""
        return np.asarray(cv2.resize(self.image, self.size[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def crisp_codes(self) -> npt.NDArray[np.int32]:
        """The codes (H, W) int32 in the middle of each pixel."""
        return self.codes[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]

    def _fill(self, draw: Callable[..., object], *shape: Any, colour: RGB, code: int | None) -> None:
        draw(self.image, *shape, color=colour)
        if code is not None:
            draw(self.codes, *shape, color=code)


def _enlarge(points: Any) -> npt.NDArray[np.int32]:
    """Places on the final picture, (..., 2) as x, y, as sub-pixels."""
    return np.rint(np.asarray(points) * SCALE + SCALE // 2).astype(np.int32)
