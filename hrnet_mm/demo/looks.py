"""What people wear: palettes, and a draw from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Colour, tint

SKINS: tuple[Colour, ...] = ((244, 208, 177), (224, 172, 125), (198, 134, 86), (141, 85, 50))
HAIRS: tuple[Colour, ...] = ((35, 28, 25), (84, 52, 28), (140, 92, 45), (205, 165, 95), (150, 60, 30))
SHIRTS: tuple[Colour, ...] = (
    (200, 50, 50), (40, 90, 180), (240, 200, 60), (60, 150, 80), (235, 235, 230), (130, 70, 150),
    (240, 130, 50), (70, 180, 190), (225, 110, 150), (60, 60, 70),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (45, 60, 100), (50, 50, 55), (110, 90, 65), (150, 140, 120), (75, 85, 60), (95, 45, 50),
)  # fmt: skip
SHOES: tuple[Colour, ...] = ((40, 35, 35), (230, 230, 230), (120, 70, 40), (190, 50, 50))

#: Shares of people in trousers, shorts and skirts.
_LEGWEAR: dict[str, float] = {'trousers': 0.6, 'shorts': 0.22, 'skirt': 0.18}


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colours and clothes of one person."""

    skin: Colour
    hair: Colour
    shirt: Colour
    legs: Colour
    shoes: Colour
    bag: Colour
    legwear: str
    long_sleeves: bool
    long_hair: bool
    striped: bool


def sample_look(rng: np.random.Generator) -> Look:
    """Draw clothes, hair and skin."""

    def pick(palette: tuple[Colour, ...]) -> Colour:
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
