"""One scene: a picture with its semantic map, its instances and their keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .canvas import PARTS, Canvas, instance_code
from .checks import check_people, check_size
from .figures import Figure
from .labels import KEYPOINTS, TRAIN_IDS
from .layout import Actor, sample_actors
from .street import paint_street, sample_street

#: Instances of which less can be seen are left out of the scene: pixels, and share of the whole.
MIN_AREA, MIN_SHARE = 60, 0.3


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
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (192, 320),
    people: tuple[int, int] = (1, 6),
) -> Scene:
    """Draw a street with people and cars.

    Args:
        rng: Where all chance comes from: the same state draws the same scene.
        size: (height, width) of the picture in pixels.
        people: (least, most) people placed. Those who end up hidden (`MIN_AREA`, `MIN_SHARE`) are
            left out of the picture and its labels alike, so a crowd may fall below `least`.
    """
    check_size(size)
    check_people(people)
    street = sample_street(rng, size)
    actors = sample_actors(rng, street=street, people=people)
    backdrop = Canvas(size)
    paint_street(backdrop, street, rng)
    while True:
        canvas, hidden = _paint(backdrop, actors)
        if not hidden:
            break
        actors = [actor for index, actor in enumerate(actors) if index not in hidden]
    image, codes = canvas.smooth_image(), canvas.crisp_codes()
    return Scene(
        image=_expose(image, rng),
        semantic=_semantic(codes, actors),
        instances=tuple(
            _instance(codes, index, actor) for index, actor in enumerate(actors) if actor.category != 'pole'
        ),
    )


def _paint(backdrop: Canvas, actors: Sequence[Actor]) -> tuple[Canvas, set[int]]:
    """Paint the actors in order; also name those of whom too little can be seen."""
    canvas = backdrop.copy()
    painted: dict[int, int] = {}
    for index, actor in enumerate(actors):
        actor.paint(canvas, index)
        if actor.category != 'pole':
            painted[index] = _count(canvas.crisp_codes(), index)
    codes = canvas.crisp_codes()
    hidden = {
        index for index, whole in painted.items() if _count(codes, index) < max(MIN_AREA, MIN_SHARE * whole)
    }
    return canvas, hidden


def _count(codes: npt.NDArray[np.int32], index: int) -> int:
    first = instance_code(index)
    return int(np.count_nonzero((codes >= first) & (codes < first + PARTS)))


def _semantic(codes: npt.NDArray[np.int32], actors: Sequence[Actor]) -> npt.NDArray[np.uint8]:
    """Train ids (H, W) of a map of codes."""
    owners = np.array([0] + [TRAIN_IDS[actor.category] for actor in actors])
    return np.where(codes < PARTS, codes, owners[codes // PARTS]).astype(np.uint8)


def _instance(codes: npt.NDArray[np.int32], index: int, actor: Actor) -> Instance:
    mask = codes // PARTS == index + 1
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return Instance(
        category=actor.category,
        mask=mask,
        bbox=(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y),
        keypoints=_keypoints(codes, index, actor) if isinstance(actor, Figure) else None,
    )


def _keypoints(codes: npt.NDArray[np.int32], index: int, figure: Figure) -> npt.NDArray[np.float64]:
    """COCO keypoints (17, 3) of a figure, their visibility read off the finished map of codes."""
    height, width = codes.shape
    keypoints = np.zeros((len(KEYPOINTS), 3))
    for row, (name, (x, y)) in enumerate(zip(KEYPOINTS, figure.keypoints, strict=True)):
        column, line = round(x), round(y)
        if not (0 <= column < width and 0 <= line < height):
            continue
        own = {instance_code(index, part) for part in figure.parts(name)}
        seen = int(codes[line, column]) in own
        keypoints[row] = (x, y, 2 if seen else 1)
    return keypoints


def _expose(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The camera: a random brightness and warmth, and a little noise."""
    gain = rng.uniform(0.82, 1.1) * (1 + rng.uniform(-0.05, 0.05) * np.array([1.0, 0.0, -1.0]))
    noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(1.5, 5)
    return np.clip(image * gain.astype(np.float32) + noise, 0, 255).astype(np.uint8)
