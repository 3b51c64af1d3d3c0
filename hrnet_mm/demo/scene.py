"""One scene: who stands where on a street; its picture, semantic map, instances and keypoints."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .body import sample_pose
from .canvas import PARTS, SceneCanvas, instance_code
from .labels import KEYPOINTS, TRAIN_IDS
from .people import Person, sample_look
from .street import Car, Post, Street, paint_street, sample_car, sample_posts, sample_street

Actor = Person | Car | Post
Extent = tuple[float, float, float, float]

#: The smallest height and width of a scene in pixels; people would be mere dots below it.
MIN_SIDE = 96
#: The most people a scene may hold.
MAX_PEOPLE = 40
#: Instances of which less can be seen are left out of the scene: pixels, and share of the whole.
MIN_AREA, MIN_SHARE = 60, 0.3

#: People's heights in metres.
_TALL = (1.5, 1.9)
#: Zones of the ground people stand in, from far to near, as (start, end) in picture heights; the
#: last reaches below the picture, so that some are cut off at the ankles.
_ZONES = ((0.64, 0.72), (0.72, 0.88), (0.88, 0.98), (0.98, 1.06))
_ZONE_ODDS = (0.2, 0.35, 0.35, 0.1)
#: How many cars a scene has: odds of 0, 1, 2 and 3.
_CAR_ODDS = (0.1, 0.45, 0.35, 0.1)
#: Lanes: (share of the road from the far kerb, whether its cars head right).
_LANES = ((0.3, False), (0.82, True))
#: The largest share of the smaller of two boxes that the other may cover: alone, and in a crowd.
_OVERLAP = {False: 0.35, True: 0.6}
_CROWD_ODDS = 0.3
_TRIES = 40


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One annotated person or car.

    `mask` (H, W) bool is the part that can be seen, `bbox` the tight box about it as COCO writes it
    (x, y, width, height in pixels). `keypoints` is (17, 3) in COCO's order, None for a car: x, y in
    pixels (whole numbers are pixel centres) and visibility: 2 seen, 1 inside the picture but hidden,
    0 outside it (then x = y = 0).
    """

    category: str
    mask: npt.NDArray[np.bool_]
    bbox: tuple[int, int, int, int]
    keypoints: npt.NDArray[np.float64] | None

    @property
    def area(self) -> int:
        """Pixels that can be seen."""
        return int(self.mask.sum())


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A drawn street.

    `image` is (H, W, 3) uint8 RGB; `semantic` is (H, W) uint8 Cityscapes train ids. Every person
    and car in the picture is an instance, so the instances' masks are disjoint and cover exactly
    the pixels of their classes in `semantic`. Instances run from far to near.
    """

    image: npt.NDArray[np.uint8]
    semantic: npt.NDArray[np.uint8]
    instances: tuple[Instance, ...]


def draw_scene(
    rng: np.random.Generator, *, size: tuple[int, int] = (192, 320), people: tuple[int, int] = (1, 6)
) -> Scene:
    """Draw a street with people and cars.

    Args:
        rng: Where all chance comes from: the same state draws the same scene.
        size: (height, width) of the picture in pixels.
        people: (least, most) people placed. Where a street is too small for them, fewer are. Those who end
            up hidden (`MIN_AREA`, `MIN_SHARE`) are left out of the picture and its labels alike.

    Raises:
        ValueError: `size` or `people` is off.
    """
    check_scene(size=size, people=people)
    street = sample_street(rng, size)
    cars = _cars(rng, street)
    crowd = _people(rng, street, cars, int(rng.integers(people[0], people[1] + 1)))
    actors: list[Actor] = [*cars, *crowd, *sample_posts(rng, street)]
    actors.sort(key=lambda actor: actor.ground[1])  # from far to near
    backdrop = SceneCanvas(size)
    paint_street(backdrop, street, rng)
    while True:
        canvas, hidden = _paint(backdrop, actors)
        if not hidden:
            break
        actors = [actor for index, actor in enumerate(actors) if index not in hidden]
    codes = canvas.crisp_codes()
    owners = np.array([0] + [TRAIN_IDS[actor.category] for actor in actors])
    return Scene(
        image=_expose(canvas.smooth_image(), rng),
        semantic=np.where(codes < PARTS, codes, owners[codes // PARTS]).astype(np.uint8),
        instances=tuple(
            _instance(codes, index, actor) for index, actor in enumerate(actors) if actor.category != 'pole'
        ),
    )


def check_scene(*, size: Sequence[int], people: Sequence[int]) -> None:
    """Require what `draw_scene` can draw.

    Raises:
        ValueError: naming the argument, its value and what is expected.
    """
    if len(size) != 2 or not all(is_whole(side) and side >= MIN_SIDE for side in size):
        raise ValueError(f'size={size!r}: expected (height, width) in pixels, each at least {MIN_SIDE}')
    if len(people) != 2 or not all(map(is_whole, people)) or not 0 <= people[0] <= people[1] <= MAX_PEOPLE:
        raise ValueError(f'people={people!r}: expected (least, most) with 0 <= least <= most <= {MAX_PEOPLE}')


def is_whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _cars(rng: np.random.Generator, street: Street) -> list[Car]:
    cars: list[Car] = []
    for _ in range(int(rng.choice(len(_CAR_ODDS), p=_CAR_ODDS))):
        for _ in range(_TRIES):
            share, heads_right = _LANES[int(rng.integers(len(_LANES)))]
            share += rng.uniform(-0.06, 0.06)
            y = street.far_kerb + share * (street.near_kerb - street.far_kerb)
            x = rng.uniform(0.0, 1.0) * street.size[1]
            car = sample_car(rng, ground=(x, y), scale=street.scale(y), heads_right=heads_right)
            if _most_covered(car.extent, [other.extent for other in cars]) <= 0.3:
                cars.append(car)
                break
    return cars


def _people(rng: np.random.Generator, street: Street, cars: Sequence[Car], count: int) -> list[Person]:
    crowded = bool(rng.random() < _CROWD_ODDS)
    width = street.size[1]
    meeting = rng.uniform(0.25, 0.75) * width
    people: list[Person] = []
    for _ in range(count):
        for _ in range(_TRIES):
            x = rng.uniform(0.03, 0.97) * width
            x = 0.55 * meeting + 0.45 * x if crowded else x
            start, end = _ZONES[int(rng.choice(len(_ZONES), p=_ZONE_ODDS))]
            y = rng.uniform(start, end) * street.size[0]
            height = rng.uniform(*_TALL) * street.scale(y)
            person = Person((x, y), height, sample_pose(rng), sample_look(rng))
            box = person.extent
            hiding = [car.extent for car in cars if car.ground[1] > person.ground[1]]
            fits = _most_covered(box, [other.extent for other in people]) <= _OVERLAP[crowded]
            if fits and all(_share(box, cover) <= 0.5 for cover in hiding):
                people.append(person)
                break
    return people


def _most_covered(box: Extent, others: Sequence[Extent]) -> float:
    """The largest share that overlaps hide of the smaller of two boxes."""
    return max((max(_share(box, other), _share(other, box)) for other in others), default=0.0)


def _share(box: Extent, cover: Extent) -> float:
    """The share of `box` that `cover` overlaps."""
    width = min(box[2], cover[2]) - max(box[0], cover[0])
    height = min(box[3], cover[3]) - max(box[1], cover[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / area


def _paint(backdrop: SceneCanvas, actors: Sequence[Actor]) -> tuple[SceneCanvas, set[int]]:
    """Paint the actors in order; also name those of whom too little can be seen."""
    canvas = copy.deepcopy(backdrop)
    painted: dict[int, int] = {}
    for index, actor in enumerate(actors):
        actor.paint(canvas, index)
        if actor.category != 'pole':
            painted[index] = int(_mask(canvas.crisp_codes(), index).sum())
    codes = canvas.crisp_codes()
    seen = {index: _mask(codes, index).sum() for index in painted}
    hidden = {i for i, whole in painted.items() if seen[i] < max(MIN_AREA, MIN_SHARE * whole)}
    return canvas, hidden


def _mask(codes: npt.NDArray[np.int32], index: int) -> npt.NDArray[np.bool_]:
    return codes // PARTS == index + 1


def _instance(codes: npt.NDArray[np.int32], index: int, actor: Actor) -> Instance:
    mask = _mask(codes, index)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return Instance(
        category=actor.category,
        mask=mask,
        bbox=(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y),
        keypoints=_keypoints(codes, index, actor) if isinstance(actor, Person) else None,
    )


def _keypoints(codes: npt.NDArray[np.int32], index: int, person: Person) -> npt.NDArray[np.float64]:
    """COCO keypoints (17, 3) of a person, their visibility read off the finished map of codes."""
    height, width = codes.shape
    keypoints = np.zeros((len(KEYPOINTS), 3))
    for row, name in enumerate(KEYPOINTS):
        x, y = person.at(name)
        column, line = round(x), round(y)
        if 0 <= column < width and 0 <= line < height:
            own = {instance_code(index, part) for part in person.parts(name)}
            keypoints[row] = (x, y, 2 if int(codes[line, column]) in own else 1)
    return keypoints


def _expose(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The camera: a random brightness and warmth, and a little noise."""
    gain = rng.uniform(0.82, 1.1) * (1 + rng.uniform(-0.05, 0.05) * np.array([1.0, 0.0, -1.0]))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1.5, 5)
    return np.clip(image * gain.astype(np.float32) + noise, 0, 255).astype(np.uint8)
