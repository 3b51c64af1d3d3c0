"""Cars, seen from the side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Colour, Point, Points, instance_code, tint


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A car body in units of its length (x, from the rear) and height (y, from the ground)."""

    metres: tuple[float, float]
    outline: Points
    windows: tuple[Points, ...]


# Shorter than real cars, so that several fit between the people.
SHAPES: dict[str, Shape] = {
    'hatchback': Shape(
        metres=(2.7, 1.35),
        outline=((0, 0.2), (0, 0.56), (0.04, 0.64), (0.11, 0.95), (0.18, 1), (0.52, 1),
                 (0.7, 0.63), (0.95, 0.54), (1, 0.42), (1, 0.2)),
        windows=(((0.1, 0.66), (0.16, 0.92), (0.33, 0.94), (0.33, 0.66)),
                 ((0.37, 0.66), (0.37, 0.94), (0.51, 0.94), (0.64, 0.66))),
    ),
    'sedan': Shape(
        metres=(3.2, 1.3),
        outline=((0, 0.22), (0, 0.56), (0.03, 0.64), (0.17, 0.66), (0.29, 0.97), (0.35, 1),
                 (0.56, 1), (0.73, 0.65), (0.96, 0.56), (1, 0.44), (1, 0.2)),
        windows=(((0.22, 0.67), (0.32, 0.93), (0.44, 0.94), (0.44, 0.67)),
                 ((0.48, 0.67), (0.48, 0.94), (0.55, 0.94), (0.68, 0.67))),
    ),
    'van': Shape(
        metres=(3.1, 1.75),
        outline=((0, 0.16), (0, 0.92), (0.04, 1), (0.7, 1), (0.79, 0.95), (0.89, 0.58),
                 (0.98, 0.48), (1, 0.38), (1, 0.16)),
        windows=(((0.06, 0.62), (0.06, 0.9), (0.27, 0.9), (0.27, 0.62)),
                 ((0.32, 0.62), (0.32, 0.9), (0.52, 0.9), (0.52, 0.62)),
                 ((0.57, 0.62), (0.57, 0.9), (0.75, 0.9), (0.84, 0.62))),
    ),
}  # fmt: skip
PAINTS: tuple[Colour, ...] = (
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
    shape: Shape
    paint_colour: Colour
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

    def paint(self, canvas: Canvas, index: int) -> None:
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

    def _panels(self, canvas: Canvas) -> None:
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

    def _wheel(self, canvas: Canvas, along: float, code: int) -> None:
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
