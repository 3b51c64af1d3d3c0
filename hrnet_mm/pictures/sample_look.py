"""Names and colours of what is drawn, from a data set's metainfo."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Red, green, blue, each 0 to 255.
Colour = tuple[int, int, int]
#: Two keypoints, counted from 0, and the colour of the line between them.
Link = tuple[tuple[int, int], Colour]

_GOLDEN = 0.618034  # of a turn: neighbouring numbers get hues far apart


@dataclass(frozen=True, kw_only=True)
class Look:
    """How classes and keypoints look.

    Attributes:
        classes: Names of the classes.
        palette: Colours of the classes; those beyond its end get some of their own.
        keypoint_colours: Colours of the keypoints, likewise.
        links: The skeleton.
        ignore_index: What marks pixels without a class in label maps.
    """

    classes: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()
    keypoint_colours: tuple[Colour, ...] = ()
    links: tuple[Link, ...] = ()
    ignore_index: int = 255

    @classmethod
    def of(cls, metainfo: Mapping[str, Any], *, ignore_index: int = 255) -> Look:
        """Read names and colours as the mm packages write them.

        Args:
            metainfo: ``classes`` and ``palette``, or ``keypoint_colors``, ``skeleton_links`` and
                ``skeleton_link_colors``; what is missing is made up.
            ignore_index: See above.
        """
        links = [(int(start), int(end)) for start, end in _rows(metainfo.get('skeleton_links'), 2)]
        link_colours = _colours(metainfo.get('skeleton_link_colors'))
        return cls(
            classes=tuple(map(str, metainfo.get('classes') or ())),
            palette=_colours(metainfo.get('palette')),
            keypoint_colours=_colours(metainfo.get('keypoint_colors')),
            links=tuple((link, _nth(link_colours, i)) for i, link in enumerate(links)),
            ignore_index=ignore_index,
        )

    def knows(self, label: int) -> bool:
        """Whether a label is one of a class; where no class has a name, any may be."""
        return 0 <= label < (len(self.classes) or label + 1)

    def name(self, label: int) -> str:
        """The class's name, or a cry that there is none."""
        if not self.knows(label):
            return f'{label}: NO CLASS'
        return self.classes[label] if self.classes else str(label)

    def colour(self, label: int) -> Colour:
        """The colour of a class."""
        return _nth(self.palette, label)

    def keypoint_colour(self, number: int) -> Colour:
        """The colour of a keypoint."""
        return _nth(self.keypoint_colours, number)


def _nth(colours: tuple[Colour, ...], number: int) -> Colour:
    if 0 <= number < len(colours):
        return colours[number]
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _colours(rows: Any) -> tuple[Colour, ...]:
    return tuple((int(red), int(green), int(blue)) for red, green, blue in _rows(rows, 3))


def _rows(table: Any, width: int) -> list[Any]:
    """Rows of numbers; nothing for what is none, as mmdet's palette 'random'."""
    if table is None or isinstance(table, str) or not len(table):
        return []
    array = np.asarray(table)
    return array.tolist() if array.ndim == 2 and array.shape[1] == width else []
