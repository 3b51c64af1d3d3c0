"""People: a posed body with a look, painted from far limbs to near ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .body import HEAD_RADIUS, PART_CODES, SIDES, Body, flatten
from .canvas import RGB, Point, SceneCanvas, instance_code, tint

_WHITE, _INK, _LIPS = (245, 245, 245), (30, 25, 30), (170, 70, 70)

SKINS: tuple[RGB, ...] = ((244, 208, 177), (224, 172, 125), (198, 134, 86), (141, 85, 50))
HAIRS: tuple[RGB, ...] = ((35, 28, 25), (84, 52, 28), (140, 92, 45), (205, 165, 95), (150, 60, 30))
SHIRTS: tuple[RGB, ...] = (
    (200, 50, 50), (40, 90, 180), (240, 200, 60), (60, 150, 80), (235, 235, 230), (130, 70, 150),
    (240, 130, 50), (70, 180, 190), (225, 110, 150), (60, 60, 70),
)  # fmt: skip
TROUSERS: tuple[RGB, ...] = (
    (45, 60, 100), (50, 50, 55), (110, 90, 65), (150, 140, 120), (75, 85, 60), (95, 45, 50),
)  # fmt: skip
SHOES: tuple[RGB, ...] = ((40, 35, 35), (230, 230, 230), (120, 70, 40), (190, 50, 50))

#: Shares of people in trousers, shorts and skirts.
_LEGWEAR: dict[str, float] = {'trousers': 0.6, 'shorts': 0.22, 'skirt': 0.18}


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colours and clothes of one person."""

    skin: RGB
    hair: RGB
    shirt: RGB
    legs: RGB
    shoes: RGB
    bag: RGB
    legwear: str
    long_sleeves: bool
    long_hair: bool
    striped: bool


def sample_look(rng: np.random.Generator) -> Look:
    """Draw clothes, hair and skin."""

    def pick(palette: tuple[RGB, ...]) -> RGB:
        return tint(palette[int(rng.integers(len(palette)))], rng.uniform(0.85, 1.12))

    return Look(
        skin=pick(SKINS),
        hair=pick(HAIRS),
        shirt=pick(SHIRTS),
        legs=pick(TROUSERS),
        shoes=pick(SHOES),
        bag=pick(SHIRTS[:4]),
        legwear=str(rng.choice(list(_LEGWEAR), p=list(_LEGWEAR.values()))),
        long_sleeves=bool(rng.random() < 0.45),
        long_hair=bool(rng.random() < 0.4),
        striped=bool(rng.random() < 0.25),
    )


@dataclass(frozen=True, kw_only=True)
class PersonPainter:
    """Paints one person as instance `index`, far parts first and darker."""

    canvas: SceneCanvas
    body: Body
    look: Look
    index: int

    @property
    def radius(self) -> float:
        """Of the head, in pixels."""
        return HEAD_RADIUS * self.body.height

    def paint(self) -> None:
        body, unit = self.body, self.body.height
        self.canvas.darken(body.ground, (0.2 * unit, 0.045 * unit), 0.72)
        layers: list[tuple[float, Callable[[], None]]] = [
            (body.depth('neck'), self._trunk),
            (body.depth('head') + 0.02, self._head),
            (body.depth('chest_lb', 'chest_rb', 'waist_lb', 'waist_rb') * 1.6, self._backpack),
        ]
        for side in SIDES:
            arm = body.depth(f'{side}_elbow', f'{side}_wrist', f'{side}_shoulder')
            layers.append((arm + 0.01, partial(self._arm, side)))
            # Shirts hang over trousers: legs come before the trunk unless lifted well in front.
            leg = body.depth(f'{side}_hip', f'{side}_knee') - 0.13
            layers.append((leg, partial(self._leg, side)))
        for _, layer in sorted(layers, key=lambda item: item[0]):
            layer()

    def _code(self, part: str) -> int:
        return instance_code(self.index, PART_CODES[part])

    def _shade(self, colour: RGB, depth: float) -> RGB:
        return tint(colour, 1 + float(np.clip(1.8 * depth, -0.32, 0.1)))

    def _tube(self, start: str, end: str, radii: Point, colour: RGB, part: str, unit: float = 0) -> None:
        """A limb between two points of the body, its radii in body heights, or in other units of pixels."""
        unit = unit or self.body.height
        ends, thick = (self.body.at(start), self.body.at(end)), (radii[0] * unit, radii[1] * unit)
        self.canvas.capsule(*ends, thick, colour, self._code(part))

    def _bone(self, start: str, end: str, radii: Point, colour: RGB, part: str) -> None:
        self._tube(start, end, radii, self._shade(colour, self.body.depth(start, end)), part)

    def _dot(self, place: str, radii: Point, colour: RGB, part: str | None = None) -> None:
        """A spot on a point of the head, its radii in radii of the head."""
        reach = radii[0] * self.radius, radii[1] * self.radius
        self.canvas.ellipse(self.body.at(place), reach, colour, self._code(part) if part else None)

    def _arm(self, side: str) -> None:
        look = self.look
        sleeve = look.shirt if look.long_sleeves else look.skin
        shoulder, elbow, wrist, hand = (f'{side}_{name}' for name in ('shoulder', 'elbow', 'wrist', 'hand'))
        self._bone(shoulder, elbow, (0.037, 0.031), tint(look.shirt, 0.88), f'{side}_upper_arm')
        self._bone(elbow, wrist, (0.03, 0.022), tint(sleeve, 0.94), f'{side}_forearm')
        self._bone(wrist, hand, (0.021, 0.025), look.skin, f'{side}_forearm')

    def _leg(self, side: str) -> None:
        look = self.look
        hip, knee, ankle, toe = (f'{side}_{name}' for name in ('hip', 'knee', 'ankle', 'toe'))
        lower = look.legs if look.legwear == 'trousers' else look.skin
        upper = look.skin if look.legwear == 'skirt' else look.legs
        self._bone(ankle, toe, (0.031, 0.025), look.shoes, f'{side}_shank')
        self._bone(knee, ankle, (0.041, 0.028), tint(lower, 0.92), f'{side}_shank')
        self._bone(hip, knee, (0.058, 0.042), upper, f'{side}_thigh')

    def _trunk(self) -> None:
        body, look = self.body, self.look
        code = self._code('trunk')
        chest, waist, seat = (self._corners(level) for level in ('chest', 'waist', 'seat'))
        if look.long_hair and self._faces_viewer(body.pose.head_yaw):
            self._locks()
        self.canvas.hull(waist + seat, self._shade(look.legs, 0), code)
        if look.legwear == 'skirt':
            self._skirt(waist, code)
        self.canvas.hull(chest + waist, look.shirt, code)
        for side in SIDES:
            shade = self._shade(look.shirt, body.depth(f'{side}_shoulder'))
            self._tube('neck', f'{side}_shoulder', (0.03, 0.03), shade, 'trunk')
        if look.striped:
            self._stripes(chest, waist)
        if self._faces_viewer(body.pose.yaw):
            self._shirt_front()
        self._tube('neck', 'head', (0.036, 0.036), tint(look.skin, 0.85), 'neck')

    def _skirt(self, waist: list[Point], code: int) -> None:
        body = self.body
        hem = [body.at(f'{side}_knee') for side in SIDES]
        hips = [body.at(f'{side}_hip') for side in SIDES]
        flare = 0.05 * body.height
        edge = [
            (0.45 * hip[0] + 0.55 * knee[0] + sign * flare, 0.4 * hip[1] + 0.6 * knee[1])
            for hip, knee in zip(hips, hem, strict=True)
            for sign in (-1, 1)
        ]
        self.canvas.hull(waist + edge, tint(self.look.legs, 1.15), code)

    def _stripes(self, chest: list[Point], waist: list[Point]) -> None:
        """Bands across the shirt, between its outer edges."""
        pale = tint(self.look.shirt, 0.65)
        for share in (0.25, 0.5, 0.75):
            ends = []
            for pick in (min, max):
                top, bottom = pick(chest), pick(waist)
                x = top[0] + share * (bottom[0] - top[0])
                ends.append((x, top[1] + share * (bottom[1] - top[1])))
            self.canvas.line(ends, 0.018 * self.body.height, pale)

    def _shirt_front(self) -> None:
        """A pale collar and button line, seen from the front only: they tell left from right."""
        body = self.body
        pale = tint(self.look.shirt, 1.35) if sum(self.look.shirt) < 500 else (150, 150, 150)
        top, bottom = self._middle('chest_lf', 'chest_rf'), self._middle('waist_lf', 'waist_rf')
        width, spread = 0.02 * body.height, 0.04 * body.height
        self.canvas.line([top, bottom], width, pale)
        collar = [(top[0] - spread, top[1] - spread / 2), (top[0], top[1] + spread)]
        self.canvas.line([*collar, (top[0] + spread, top[1] - spread / 2)], width, pale)

    def _backpack(self) -> None:
        """Everyone carries one: whole when seen from behind, hidden by the trunk from the front."""
        body, unit, colour = self.body, self.body.height, self.look.bag
        back = [body.points[name] for name in ('chest_lb', 'chest_rb', 'waist_lb', 'waist_rb')]
        centre = np.mean(back, axis=0)
        outwards = np.mean([body.points['chest_lb'], body.points['chest_rb']], axis=0)
        outwards = outwards - np.mean([body.points['chest_lf'], body.points['chest_rf']], axis=0)
        pack = [
            flatten(centre + 0.72 * (corner - centre) + step * outwards) * unit + body.ground
            for corner in back
            for step in (0.0, 0.5)
        ]
        self.canvas.hull(np.array(pack), self._shade(colour, float(centre[2])), self._code('backpack'))
        if not self._faces_viewer(body.pose.yaw):
            x, y = flatten(centre + 0.5 * outwards) * unit + body.ground
            box = x - 0.04 * unit, y + 0.01 * unit, x + 0.04 * unit, y + 0.06 * unit
            self.canvas.box(*box, tint(colour, 0.7))

    def _head(self) -> None:
        body, look = self.body, self.look
        near_ears = [side for side in SIDES if body.depth(f'{side}_ear') > 0]
        for side in SIDES:
            if side not in near_ears:
                self._ear(side)
        if look.long_hair and not self._faces_viewer(body.pose.head_yaw):
            self._locks()
        self._dot('head', (0.9, 1), look.hair, 'head')
        if np.cos(np.deg2rad(body.pose.head_yaw)) > -0.15:
            self._face()
        for side in near_ears:
            self._ear(side)

    def _locks(self) -> None:
        """Long hair: behind the neck of those who face the viewer, over it on the others."""
        self._tube('head', 'locks', (0.92, 0.72), tint(self.look.hair, 0.85), 'head', unit=self.radius)

    def _ear(self, side: str) -> None:
        self._dot(f'{side}_ear', (0.2, 0.28), tint(self.look.skin, 0.88), f'{side}_ear')

    def _face(self) -> None:
        body, skin = self.body, self.look.skin
        ahead = abs(float(np.cos(np.deg2rad(body.pose.head_yaw))))
        self._dot('face', (0.56 + 0.2 * ahead, 0.8), skin, 'face')
        head = body.depth('head')
        for eye in ('left_eye', 'right_eye'):
            if body.depth(eye) - head > 0.1 * HEAD_RADIUS:
                self._dot(eye, (0.2, 0.15), _WHITE, 'face')
                self._dot(eye, (0.1, 0.13), _INK, 'face')
        if body.depth('nose') - head > -0.1 * HEAD_RADIUS:
            self._dot('nose', (0.12, 0.18), tint(skin, 0.8), 'face')
        if body.depth('mouth') > head + 0.15 * HEAD_RADIUS:
            self._dot('mouth', (0.22, 0.07), _LIPS)

    def _corners(self, level: str) -> list[Point]:
        return [self.body.at(f'{level}_{corner}') for corner in ('lf', 'lb', 'rf', 'rb')]

    def _middle(self, *names: str) -> Point:
        x, y = np.mean([self.body.at(name) for name in names], axis=0)
        return float(x), float(y)

    @staticmethod
    def _faces_viewer(yaw: float) -> bool:
        return bool(np.cos(np.deg2rad(yaw)) > 0.2)


@dataclass(frozen=True)
class Person(Body):
    """One person."""

    look: Look

    category = 'person'

    def paint(self, canvas: SceneCanvas, index: int) -> None:
        """Draw the person as instance `index`."""
        PersonPainter(canvas=canvas, body=self, look=self.look, index=index).paint()
