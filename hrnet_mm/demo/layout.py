"""Who stands where: places people, cars and lamp posts on a street."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .canvas import Point
from .cars import Car, sample_car
from .figures import Figure, sample_figure
from .street import Post, Street, sample_posts

Actor = Figure | Car | Post
Extent = tuple[float, float, float, float]

#: People's heights in metres.
_TALL = (1.5, 1.9)

#: Zones of the ground people stand in, from far to near, as (start, end) in picture heights; the
#: last reaches below the picture, so that some are cut off at the ankles.
_ZONES: tuple[tuple[float, float], ...] = ((0.64, 0.72), (0.72, 0.88), (0.88, 0.98), (0.98, 1.06))
_ZONE_ODDS = (0.2, 0.35, 0.35, 0.1)

#: How many cars a scene has: odds of 0, 1, 2 and 3.
_CAR_ODDS = (0.1, 0.45, 0.35, 0.1)

#: Lanes: (share of the road from the far kerb, whether its cars head right).
_LANES: tuple[tuple[float, bool], ...] = ((0.3, False), (0.82, True))

#: The largest share of the smaller of two boxes that the other may cover: alone, and in a crowd.
_OVERLAP = {False: 0.35, True: 0.6}
_CROWD_ODDS = 0.3
_TRIES = 40


def sample_actors(rng: np.random.Generator, *, street: Street, people: tuple[int, int]) -> list[Actor]:
    """Draw everything that stands on the street, sorted from far to near.

    `people` is the (least, most) number of people. Where a street is too small for them, fewer are
    placed.
    """
    cars = _cars(rng, street)
    crowd = _people(rng, street, cars, int(rng.integers(people[0], people[1] + 1)))
    actors: list[Actor] = [*cars, *crowd, *sample_posts(rng, street)]
    return sorted(actors, key=lambda actor: actor.ground[1])


def _cars(rng: np.random.Generator, street: Street) -> list[Car]:
    cars: list[Car] = []
    for _ in range(int(rng.choice(len(_CAR_ODDS), p=_CAR_ODDS))):
        for _ in range(_TRIES):
            car = _car(rng, street)
            if _most_covered(car.extent, [other.extent for other in cars]) <= 0.3:
                cars.append(car)
                break
    return cars


def _car(rng: np.random.Generator, street: Street) -> Car:
    share, heads_right = _LANES[int(rng.integers(len(_LANES)))]
    share += rng.uniform(-0.06, 0.06)
    y = street.far_kerb + share * (street.near_kerb - street.far_kerb)
    x = rng.uniform(0.0, 1.0) * street.size[1]
    return sample_car(rng, ground=(x, y), scale=street.scale(y), heads_right=heads_right)


def _people(rng: np.random.Generator, street: Street, cars: Sequence[Car], count: int) -> list[Figure]:
    crowded = bool(rng.random() < _CROWD_ODDS)
    width = street.size[1]
    meeting = rng.uniform(0.25, 0.75) * width
    people: list[Figure] = []
    taken: list[Extent] = []
    for _ in range(count):
        for _ in range(_TRIES):
            x = rng.uniform(0.03, 0.97) * width
            x = 0.55 * meeting + 0.45 * x if crowded else x
            figure = _figure(rng, street, x)
            hiding = [car.extent for car in cars if car.ground[1] > figure.ground[1]]
            box = figure.extent
            fits = _most_covered(box, taken) <= _OVERLAP[crowded]
            if fits and all(_share(box, cover) <= 0.5 for cover in hiding):
                people.append(figure)
                taken.append(box)
                break
    return people


def _figure(rng: np.random.Generator, street: Street, x: float) -> Figure:
    start, end = _ZONES[int(rng.choice(len(_ZONES), p=_ZONE_ODDS))]
    ground: Point = (x, rng.uniform(start, end) * street.size[0])
    return sample_figure(rng, ground=ground, height=rng.uniform(*_TALL) * street.scale(ground[1]))


def _most_covered(box: Extent, others: Sequence[Extent]) -> float:
    """The largest share that overlaps hide of the smaller of two boxes."""
    return max((max(_share(box, other), _share(other, box)) for other in others), default=0.0)


def _share(box: Extent, cover: Extent) -> float:
    """The share of `box` that `cover` overlaps."""
    width = min(box[2], cover[2]) - max(box[0], cover[0])
    height = min(box[3], cover[3]) - max(box[1], cover[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / area
