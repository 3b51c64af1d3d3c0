"""The street: sky, buildings, greenery, sidewalks, road and lamp posts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import Canvas, Colour, Point, tint
from .labels import TRAIN_IDS

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((110, 165, 225), (200, 222, 240)),
    ((150, 170, 195), (215, 220, 225)),
    ((120, 140, 200), (245, 205, 170)),
)
_WALLS: tuple[Colour, ...] = (
    (176, 108, 84), (205, 184, 150), (150, 120, 105), (190, 195, 190), (214, 170, 110),
    (140, 150, 165),
)  # fmt: skip
_GREENS: tuple[Colour, ...] = ((66, 112, 50), (86, 130, 60), (58, 98, 62), (104, 132, 52))
_CLOUD: Colour = (238, 240, 243)
_BARK: Colour = (92, 70, 52)
_ROAD: Colour = (92, 94, 98)
_PAVING: Colour = (178, 168, 156)
_MARKING: Colour = (225, 225, 215)
_POST: Colour = (58, 66, 70)

#: Height of the viewer's eye above the ground in metres: it fixes the size of everything.
EYE = 1.3


@dataclass(frozen=True, kw_only=True)
class Street:
    """Where the ground's bands meet, as y in pixels, of a picture of `size` (height, width)."""

    size: tuple[int, int]
    horizon: float
    walls: float
    far_kerb: float
    near_kerb: float

    def scale(self, y: float) -> float:
        """Pixels a metre, for things that stand on the ground at y."""
        return (y - self.horizon) / EYE


@dataclass(frozen=True)
class Post:
    """A lamp post standing at `ground` (x, y) pixels; `scale` px a metre."""

    ground: Point
    scale: float

    category = 'pole'

    def paint(self, canvas: Canvas, index: int) -> None:
        """Draw the post; it is no instance, so `index` goes unused."""
        (x, y), scale, code = self.ground, self.scale, TRAIN_IDS['pole']
        half, top = 0.065 * scale, y - 3.4 * scale
        canvas.darken(self.ground, (0.25 * scale, 0.06 * scale), 0.75)
        canvas.box(x - half, top, x + half, y, _POST, code)
        canvas.box(x - 1.7 * half, y - 0.35 * scale, x + 1.7 * half, y, tint(_POST, 0.85), code)
        canvas.line([(x - 0.4 * half, top), (x - 0.4 * half, y)], 0.4 * half, tint(_POST, 1.5))
        canvas.ellipse((x, top), (3 * half, 2.4 * half), (245, 235, 190), code)


def sample_street(rng: np.random.Generator, size: tuple[int, int]) -> Street:
    """Draw where the bands of the ground meet."""
    height = size[0]
    far_kerb = rng.uniform(0.575, 0.61)
    return Street(
        size=size,
        horizon=rng.uniform(0.38, 0.42) * height,
        walls=(far_kerb - rng.uniform(0.05, 0.07)) * height,
        far_kerb=far_kerb * height,
        near_kerb=rng.uniform(0.84, 0.89) * height,
    )


def sample_posts(rng: np.random.Generator, street: Street) -> list[Post]:
    """A lamp post on the near kerb, at times two, and up to two on the far one."""
    width = street.size[1]
    kerbs = [street.near_kerb + 2] * (2 if rng.random() < 0.25 else 1)
    kerbs += [street.far_kerb - 1] * int(rng.integers(0, 3))
    return [Post((rng.uniform(0, width), y), street.scale(y)) for y in kerbs]


def paint_street(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Draw everything that stands behind people, cars and lamp posts."""
    _sky(canvas, street, rng)
    _buildings(canvas, street, rng)
    _hedges(canvas, street, rng)
    _sidewalks(canvas, street, rng)
    _road(canvas, street, rng)
    for _ in range(int(rng.integers(1, 4))):
        _tree(canvas, street, rng)


def _sky(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    top, bottom = (np.array(colour) for colour in _SKIES[int(rng.integers(len(_SKIES)))])
    rows, columns, _ = canvas.image.shape
    share = np.clip(np.linspace(0, 2.2, rows), 0, 1)[:, None]
    gradient = (top + share * (bottom - top)).astype(np.uint8)
    canvas.image[:] = cv2.resize(gradient[:, None], (columns, rows), interpolation=cv2.INTER_NEAREST)
    canvas.codes[:] = TRAIN_IDS['sky']
    height, width = street.size
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, width), rng.uniform(0.02, 0.22) * height
        for _ in range(5):
            puff = (x + rng.normal(0, 0.07 * height), y + rng.normal(0, 0.01 * height))
            radius = rng.uniform(0.03, 0.07) * height
            canvas.ellipse(puff, (1.6 * radius, 0.6 * radius), _CLOUD)


def _buildings(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    x = -rng.uniform(0, 0.2) * height
    while x < width:
        x1 = x + rng.uniform(0.28, 0.6) * height
        # A gap now and then lets the sky come down between the houses.
        if rng.random() > 0.12:
            _building(canvas, street, rng, (x, rng.uniform(0.03, 0.3) * height, x1))
        x = x1


def _building(
    canvas: Canvas, street: Street, rng: np.random.Generator, place: tuple[float, float, float]
) -> None:
    (x0, top, x1), code, height = place, TRAIN_IDS['building'], street.size[0]
    wall = tint(_WALLS[int(rng.integers(len(_WALLS)))], rng.uniform(0.85, 1.1))
    canvas.box(x0, top, x1, street.walls, wall, code)
    eaves = 0.012 * height
    canvas.box(x0 - 1, top - eaves, x1 + 1, top, tint(wall, 0.7), code)
    floor, column = rng.uniform(0.075, 0.1) * height, rng.uniform(0.055, 0.085) * height
    ground_floor = street.walls - 0.13 * height
    canvas.box(x0, ground_floor, x1, street.walls, tint(wall, 0.8), code)
    glass = ((70, 85, 100), (110, 130, 145), (235, 210, 140))
    margin = ((x1 - x0) % column) / 2
    for y in np.arange(top + 0.3 * floor, ground_floor - 0.7 * floor, floor):
        for x in np.arange(x0 + margin, x1 - 0.9 * column, column):
            pane = glass[int(rng.choice(3, p=(0.6, 0.28, 0.12)))]
            left, right = x + 0.22 * column, x + 0.78 * column
            canvas.box(left - 0.5, y - 0.5, right + 0.5, y + 0.62 * floor, tint(wall, 1.2))
            canvas.box(left, y, right, y + 0.55 * floor, pane)
    _shop(canvas, rng, (x0, ground_floor, x1, street.walls))


def _shop(canvas: Canvas, rng: np.random.Generator, place: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = place
    width, height = x1 - x0, y1 - y0
    door = x0 + rng.uniform(0.1, 0.75) * width
    canvas.box(x0 + 0.06 * width, y0 + 0.3 * height, x1 - 0.06 * width, y1 - 0.2 * height, (85, 100, 112))
    canvas.box(door, y0 + 0.25 * height, door + 0.14 * width, y1, (74, 52, 42))
    if rng.random() < 0.6:
        awning = tuple(int(channel) for channel in rng.integers(70, 200, 3))
        corners = [(x0 + 0.05 * width, y0 + 0.12 * height), (x1 - 0.05 * width, y0 + 0.12 * height)]
        lower = [(x1, y0 + 0.36 * height), (x0, y0 + 0.36 * height)]
        canvas.polygon(corners + lower, (awning[0], awning[1], awning[2]))


def _leaves(canvas: Canvas, rng: np.random.Generator, centre: Point, radii: tuple[float, float]) -> None:
    """A tuft of overlapping blobs, dark ones first, lighter ones above."""
    green = _GREENS[int(rng.integers(len(_GREENS)))]
    count, code = 26, TRAIN_IDS['vegetation']
    canvas.ellipse(centre, (0.85 * radii[0], 0.85 * radii[1]), tint(green, 0.75), code)
    spots = rng.uniform(-1, 1, (count, 2))
    spots = spots[np.argsort(-spots[:, 1])]
    for step, (x, y) in enumerate(spots):
        reach = max(1.0, float(np.hypot(x, y)))
        spot = (centre[0] + 0.75 * radii[0] * x / reach, centre[1] + 0.75 * radii[1] * y / reach)
        size = rng.uniform(0.2, 0.38)
        shade = tint(green, 0.75 + 0.55 * step / count + rng.uniform(-0.08, 0.08))
        canvas.ellipse(spot, (size * radii[0], size * radii[1]), shade, code)


def _hedges(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    for _ in range(int(rng.integers(1, 4))):
        x, length = rng.uniform(0, width), rng.uniform(0.1, 0.3) * height
        radius = rng.uniform(0.035, 0.05) * height
        for step in np.arange(0, length, radius):
            _leaves(canvas, rng, (x + step, street.walls - 0.5 * radius), (radius, 1.3 * radius))


def _tree(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    x, y = rng.uniform(0, width), rng.uniform(street.walls + 1, street.far_kerb - 1)
    radius = rng.uniform(0.09, 0.14) * height
    crown = y - rng.uniform(0.28, 0.36) * height
    canvas.darken((x, y), (0.7 * radius, 0.015 * height), 0.75)
    code = TRAIN_IDS['vegetation']
    trunk = (0.018 * height, 0.013 * height)
    canvas.capsule((x, y - trunk[0]), (x, crown), trunk, _BARK, code)
    _leaves(canvas, rng, (x, crown), (radius, rng.uniform(0.9, 1.2) * radius))


def _sidewalks(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    code = TRAIN_IDS['sidewalk']
    paving = tint(_PAVING, rng.uniform(0.85, 1.1))
    joint = tint(paving, 0.86)
    vanish = (rng.uniform(0.3, 0.7) * width, street.horizon)
    canvas.box(-1, street.walls, width, height, paving, code)
    for y in (0.5 * (street.walls + street.far_kerb), 0.35 * street.near_kerb + 0.65 * height):
        canvas.line([(0, y), (width, y)], 0.6, joint)
    # Joints between the slabs run to one vanishing point.
    for x in np.arange(-2 * width, 3 * width, 0.16 * height):
        run = (height - street.walls) / (height - vanish[1])
        canvas.line([(x, height), (x + run * (vanish[0] - x), street.walls)], 0.6, joint)


def _road(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    width, code = street.size[1], TRAIN_IDS['road']
    road = tint(_ROAD, rng.uniform(0.8, 1.2))
    far, near = street.far_kerb, street.near_kerb
    kerb = 0.012 * street.size[0]
    canvas.box(-1, far, width, near, road, code)
    canvas.box(-1, far, width, far + 0.5 * kerb, tint(road, 0.7))
    canvas.box(-1, near, width, near + kerb, (205, 200, 192))
    _lane_marks(canvas, street, rng)
    if rng.random() < 0.35:
        _crossing(canvas, street, rng)


def _lane_marks(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    y = street.far_kerb + 0.42 * (street.near_kerb - street.far_kerb)
    dash, thick = 0.16 * height, 0.014 * height
    for x in np.arange(-rng.uniform(0, 2 * dash), width, 2 * dash):
        canvas.box(x, y, x + dash, y + thick, _MARKING)


def _crossing(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """A zebra crossing whose bars narrow towards the horizon."""
    height, width = street.size
    start, step = rng.uniform(0, 0.7) * width, 0.075 * height
    far, near = street.far_kerb + 2, street.near_kerb - 2
    shrink = (far - street.horizon) / (near - street.horizon)
    for bar in range(6):
        left, right = start + 2 * bar * step, start + (2 * bar + 1) * step
        middle = 0.5 * width
        top = [middle + shrink * (x - middle) for x in (right, left)]
        corners = [(left, near), (right, near), (top[0], far), (top[1], far)]
        canvas.polygon(corners, _MARKING)
