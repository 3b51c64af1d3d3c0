"""The street: sky, buildings, greenery, sidewalks and road; the lamp posts and cars that stand on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import RGB, Point, Points, SceneCanvas, instance_code, tint
from .labels import TRAIN_IDS

_SKIES: tuple[tuple[RGB, RGB], ...] = (
    ((110, 165, 225), (200, 222, 240)),
    ((150, 170, 195), (215, 220, 225)),
    ((120, 140, 200), (245, 205, 170)),
)
_WALLS: tuple[RGB, ...] = (
    (176, 108, 84), (205, 184, 150), (150, 120, 105), (190, 195, 190), (214, 170, 110),
    (140, 150, 165),
)  # fmt: skip
_GREENS: tuple[RGB, ...] = ((66, 112, 50), (86, 130, 60), (58, 98, 62), (104, 132, 52))
_CLOUD: RGB = (238, 240, 243)
_BARK: RGB = (92, 70, 52)
_ROAD: RGB = (92, 94, 98)
_PAVING: RGB = (178, 168, 156)
_MARKING: RGB = (225, 225, 215)
_POST: RGB = (58, 66, 70)

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

    def paint(self, canvas: SceneCanvas, index: int) -> None:
        """Draw the post; it is no instance, so `index` goes unused."""
        (x, y), scale, code = self.ground, self.scale, TRAIN_IDS['pole']
        half, top = 0.065 * scale, y - 3.4 * scale
        canvas.darken(self.ground, (0.25 * scale, 0.06 * scale), 0.75)
        canvas.box(x - half, top, x + half, y, _POST, code)
        canvas.box(x - 1.7 * half, y - 0.35 * scale, x + 1.7 * half, y, tint(_POST, 0.85), code)
        canvas.line([(x - 0.4 * half, top), (x - 0.4 * half, y)], 0.4 * half, tint(_POST, 1.5))
        canvas.ellipse((x, top), (3 * half, 2.4 * half), (245, 235, 190), code)


@dataclass(frozen=True, kw_only=True)
class CarShape:
    """A car body in units of its length (x, from the rear) and height (y, from the ground)."""

    metres: tuple[float, float]
    outline: Points
    windows: tuple[Points, ...]


# Shorter than real cars, so that several fit between the people.
SHAPES: dict[str, CarShape] = {
    'hatchback': CarShape(
        metres=(2.7, 1.35),
        outline=((0, 0.2), (0, 0.56), (0.04, 0.64), (0.11, 0.95), (0.18, 1), (0.52, 1),
                 (0.7, 0.63), (0.95, 0.54), (1, 0.42), (1, 0.2)),
        windows=(((0.1, 0.66), (0.16, 0.92), (0.33, 0.94), (0.33, 0.66)),
                 ((0.37, 0.66), (0.37, 0.94), (0.51, 0.94), (0.64, 0.66))),
    ),
    'sedan': CarShape(
        metres=(3.2, 1.3),
        outline=((0, 0.22), (0, 0.56), (0.03, 0.64), (0.17, 0.66), (0.29, 0.97), (0.35, 1),
                 (0.56, 1), (0.73, 0.65), (0.96, 0.56), (1, 0.44), (1, 0.2)),
        windows=(((0.22, 0.67), (0.32, 0.93), (0.44, 0.94), (0.44, 0.67)),
                 ((0.48, 0.67), (0.48, 0.94), (0.55, 0.94), (0.68, 0.67))),
    ),
    'van': CarShape(
        metres=(3.1, 1.75),
        outline=((0, 0.16), (0, 0.92), (0.04, 1), (0.7, 1), (0.79, 0.95), (0.89, 0.58),
                 (0.98, 0.48), (1, 0.38), (1, 0.16)),
        windows=(((0.06, 0.62), (0.06, 0.9), (0.27, 0.9), (0.27, 0.62)),
                 ((0.32, 0.62), (0.32, 0.9), (0.52, 0.9), (0.52, 0.62)),
                 ((0.57, 0.62), (0.57, 0.9), (0.75, 0.9), (0.84, 0.62))),
    ),
}  # fmt: skip
PAINTS: tuple[RGB, ...] = (
    (190, 40, 45), (35, 75, 150), (225, 225, 225), (60, 65, 70), (235, 185, 50), (50, 120, 85),
    (150, 160, 170), (220, 120, 50),
)  # fmt: skip
_GLASS, _TYRE, _HUB = (150, 190, 210), (28, 28, 30), (165, 165, 170)
_FRONT_LAMP, _REAR_LAMP = (255, 240, 190), (200, 30, 30)
_WHEELS = (0.2, 0.79)


@dataclass(frozen=True)
class Car:
    """A car whose wheels touch the road at `ground` (x of its middle, y), `scale` px a metre."""

    ground: Point
    scale: float
    shape: CarShape
    paint_colour: RGB
    heads_right: bool

    category = 'car'

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The box about the whole car, hidden or not: x0, y0, x1, y1 in pixels."""
        length, height = (metres * self.scale for metres in self.shape.metres)
        x, y = self.ground
        return x - length / 2, y - height, x + length / 2, y

    def at(self, along: float, up: float) -> Point:
        """Where a point of the shape falls in the picture, x, y in pixels."""
        x0, y0, x1, y1 = self.extent
        share = along if self.heads_right else 1 - along
        return x0 + share * (x1 - x0), y1 - up * (y1 - y0)

    def paint(self, canvas: SceneCanvas, index: int) -> None:
        """Draw the car as instance `index`."""
        code, scale = instance_code(index), self.scale
        length = self.shape.metres[0] * scale
        canvas.darken(self.ground, (0.53 * length, 0.09 * scale), 0.55)
        canvas.polygon(self._points(self.shape.outline), self.paint_colour, code)
        self._panels(canvas)
        for window in self.shape.windows:
            canvas.polygon(self._points(window), _GLASS)
            glint = [self.at(*window[0]), self.at(*window[1])]
            canvas.line(glint, 0.06 * scale, tint(_GLASS, 1.2))
        for along in _WHEELS:
            self._wheel(canvas, along, code)

    def _panels(self, canvas: SceneCanvas) -> None:
        scale, dark = self.scale, tint(self.paint_colour, 0.6)
        canvas.polygon(
            [self.at(0, 0.2), self.at(0, 0.3), self.at(1, 0.3), self.at(1, 0.2)],
            tint(self.paint_colour, 0.75),
        )
        door = self.shape.windows[-1]
        canvas.line([self.at(*door[0]), self.at(door[0][0], 0.3)], 0.03 * scale, dark)
        handle = door[0][0] + 0.03
        canvas.line([self.at(handle, 0.56), self.at(handle + 0.06, 0.56)], 0.05 * scale, dark)
        for along, lamp in ((0.975, _FRONT_LAMP), (0.02, _REAR_LAMP)):
            canvas.ellipse(self.at(along, 0.45), (0.06 * scale, 0.08 * scale), lamp)

    def _wheel(self, canvas: SceneCanvas, along: float, code: int) -> None:
        radius = 0.3 * self.scale
        x, y = self.at(along, 0)
        centre = (x, y - radius)
        canvas.ellipse(centre, (radius, radius), _TYRE, code)
        canvas.ellipse(centre, (0.55 * radius, 0.55 * radius), _HUB)
        canvas.ellipse(centre, (0.2 * radius, 0.2 * radius), _TYRE)

    def _points(self, points: Points) -> list[Point]:
        return [self.at(along, up) for along, up in points]


def sample_car(rng: np.random.Generator, *, ground: Point, scale: float, heads_right: bool) -> Car:
    """Draw a car to stand at `ground`."""
    shape = SHAPES[str(rng.choice(list(SHAPES)))]
    colour = tint(PAINTS[int(rng.integers(len(PAINTS)))], rng.uniform(0.85, 1.1))
    return Car(ground, scale, shape, colour, heads_right)


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


def paint_street(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    """Draw everything that stands behind people, cars and lamp posts."""
    _sky(canvas, street, rng)
    _buildings(canvas, street, rng)
    _hedges(canvas, street, rng)
    _sidewalks(canvas, street, rng)
    _road(canvas, street, rng)
    for _ in range(int(rng.integers(1, 4))):
        _tree(canvas, street, rng)


def _sky(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    top, bottom = (np.array(colour) for colour in _SKIES[int(rng.integers(len(_SKIES)))])
    share = np.clip(np.linspace(0, 2.2, len(canvas.image)), 0, 1)[:, None, None]
    canvas.image[:] = (top + share * (bottom - top)).astype(np.uint8)
    canvas.codes[:] = TRAIN_IDS['sky']
    height, width = street.size
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, width), rng.uniform(0.02, 0.22) * height
        for _ in range(5):
            puff = (x + rng.normal(0, 0.07 * height), y + rng.normal(0, 0.01 * height))
            radius = rng.uniform(0.03, 0.07) * height
            canvas.ellipse(puff, (1.6 * radius, 0.6 * radius), _CLOUD)


def _buildings(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    x = -rng.uniform(0, 0.2) * height
    while x < width:
        x1 = x + rng.uniform(0.28, 0.6) * height
        # A gap now and then lets the sky come down between the houses.
        if rng.random() > 0.12:
            _building(canvas, street, rng, (x, rng.uniform(0.03, 0.3) * height, x1))
        x = x1


def _building(
    canvas: SceneCanvas, street: Street, rng: np.random.Generator, place: tuple[float, float, float]
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


def _shop(canvas: SceneCanvas, rng: np.random.Generator, place: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = place
    width, height = x1 - x0, y1 - y0
    door = x0 + rng.uniform(0.1, 0.75) * width
    canvas.box(x0 + 0.06 * width, y0 + 0.3 * height, x1 - 0.06 * width, y1 - 0.2 * height, (85, 100, 112))
    canvas.box(door, y0 + 0.25 * height, door + 0.14 * width, y1, (74, 52, 42))
    if rng.random() < 0.6:
        red, green, blue = rng.integers(70, 200, 3).tolist()
        corners = [(x0 + 0.05 * width, y0 + 0.12 * height), (x1 - 0.05 * width, y0 + 0.12 * height)]
        lower = [(x1, y0 + 0.36 * height), (x0, y0 + 0.36 * height)]
        canvas.polygon(corners + lower, (red, green, blue))


def _leaves(canvas: SceneCanvas, rng: np.random.Generator, centre: Point, radii: tuple[float, float]) -> None:
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


def _hedges(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    for _ in range(int(rng.integers(1, 4))):
        x, length = rng.uniform(0, width), rng.uniform(0.1, 0.3) * height
        radius = rng.uniform(0.035, 0.05) * height
        for step in np.arange(0, length, radius):
            _leaves(canvas, rng, (x + step, street.walls - 0.5 * radius), (radius, 1.3 * radius))


def _tree(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    x, y = rng.uniform(0, width), rng.uniform(street.walls + 1, street.far_kerb - 1)
    radius = rng.uniform(0.09, 0.14) * height
    crown = y - rng.uniform(0.28, 0.36) * height
    canvas.darken((x, y), (0.7 * radius, 0.015 * height), 0.75)
    code = TRAIN_IDS['vegetation']
    trunk = (0.018 * height, 0.013 * height)
    canvas.capsule((x, y - trunk[0]), (x, crown), trunk, _BARK, code)
    _leaves(canvas, rng, (x, crown), (radius, rng.uniform(0.9, 1.2) * radius))


def _sidewalks(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
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


def _road(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
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


def _lane_marks(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
    height, width = street.size
    y = street.far_kerb + 0.42 * (street.near_kerb - street.far_kerb)
    dash, thick = 0.16 * height, 0.014 * height
    for x in np.arange(-rng.uniform(0, 2 * dash), width, 2 * dash):
        canvas.box(x, y, x + dash, y + thick, _MARKING)


def _crossing(canvas: SceneCanvas, street: Street, rng: np.random.Generator) -> None:
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
