"""A posed body in the picture: where its points fall, and on which painted part each is seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .canvas import Point
from .labels import KEYPOINTS
from .skeleton import HALF_HIPS, HALF_SHOULDERS, Pose, Vector, flatten, pose_points


class Part(IntEnum):
    """The painted parts of a person; a keypoint is seen where one of its own parts is on top."""

    TRUNK = auto()
    BACKPACK = auto()
    NECK = auto()
    HEAD = auto()
    FACE = auto()
    LEFT_EAR = auto()
    LEFT_UPPER_ARM = auto()
    LEFT_FOREARM = auto()
    LEFT_THIGH = auto()
    LEFT_SHANK = auto()
    RIGHT_EAR = auto()
    RIGHT_UPPER_ARM = auto()
    RIGHT_FOREARM = auto()
    RIGHT_THIGH = auto()
    RIGHT_SHANK = auto()


_JOINT_PARTS: dict[str, tuple[str, ...]] = {
    'ear': ('EAR',),
    'shoulder': ('UPPER_ARM',),
    'elbow': ('UPPER_ARM', 'FOREARM'),
    'wrist': ('FOREARM',),
    'hip': ('THIGH',),
    'knee': ('THIGH', 'SHANK'),
    'ankle': ('SHANK',),
}


#: Joints that lie on the trunk as well, and how far out from its middle, in body heights.
_TRUNK_JOINTS: dict[str, float] = {'shoulder': HALF_SHOULDERS, 'hip': HALF_HIPS}


@dataclass(frozen=True)
class Body:
    """A body standing at `ground` (x, y) pixels, `height` pixels tall when upright."""

    ground: Point
    height: float
    pose: Pose

    @cached_property
    def points(self) -> dict[str, Vector]:
        """The body's points (3,) as the viewer sees them, in body heights; lowest ankle at 0."""
        points = pose_points(self.pose)
        lowest = min(points[f'{side}_ankle'][1] for side in ('left', 'right'))
        drop = np.array([0, lowest - 0.03, 0])
        return {name: point - drop for name, point in points.items()}

    @cached_property
    def places(self) -> dict[str, Point]:
        """Where every point falls in the picture, x, y in pixels."""
        flat = flatten(np.array(list(self.points.values()))) * self.height + self.ground
        return {name: (x, y) for name, (x, y) in zip(self.points, flat.tolist(), strict=True)}

    def at(self, name: str) -> Point:
        """Where a named point falls in the picture, x, y in pixels."""
        return self.places[name]

    def depth(self, *names: str) -> float:
        """Mean nearness to the viewer of some points, in body heights."""
        return sum(float(self.points[name][2]) for name in names) / len(names)

    @property
    def keypoints(self) -> npt.NDArray[np.float64]:
        """COCO's 17 keypoints, (17, 2) as x, y in pixels."""
        return np.array([self.at(name) for name in KEYPOINTS])

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The box about the whole body, hidden or not: x0, y0, x1, y1 in pixels."""
        places = np.array(list(self.places.values()))
        margin = 0.05 * self.height
        (x0, y0), (x1, y1) = places.min(axis=0) - margin, places.max(axis=0) + margin
        return x0, y0, x1, y1

    def parts(self, keypoint: str) -> frozenset[Part]:
        """The parts on which a keypoint is seen."""
        side, _, joint = keypoint.partition('_')
        if joint not in _JOINT_PARTS:
            return frozenset({Part.FACE})
        own = frozenset(Part[f'{side}_{part}'.upper()] for part in _JOINT_PARTS[joint])
        # The trunk is solid: a joint well on its far side is not seen through it.
        reach = _TRUNK_JOINTS.get(joint)
        on_trunk = reach is not None and self.depth(keypoint) > -0.75 * reach
        return own | {Part.TRUNK} if on_trunk else own
