"""An articulated body: joint angles in, points in space and in the picture out.

The body's own frame is right-handed in units of its height: x to the *person's* left, y up from the
ground, z to where the person faces. Seen by the viewer, x runs to the right of the picture, y up
and z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from .canvas import Point

Vector = npt.NDArray[np.float64]
Range = tuple[float, float]

SIDES = ('left', 'right')
#: How steeply the viewer looks down: a nearer foot stands lower in the picture. Radians.
PITCH = np.deg2rad(9)


@dataclass(frozen=True, kw_only=True)
class Limb:
    """Directions of an arm or leg, in degrees from hanging straight down.

    `swing` turns forwards, `spread` outwards; each holds (upper bone, lower bone).
    """

    swing: Range
    spread: Range


@dataclass(frozen=True, kw_only=True)
class Pose:
    """A whole body: where it and its head turn (degrees), and how the limbs hang.

    `yaw` 0 faces the viewer, 90 the right edge of the picture, 180 away. `lean` tilts the upper
    body sideways. `arms` and `legs` are (left, right).
    """

    yaw: float
    head_yaw: float
    lean: float
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]


#: Bone lengths and places along the body, in units of its height.
HEIGHTS = {'ankle': 0.045, 'waist': 0.6, 'chest': 0.8, 'neck': 0.83, 'head': 0.905}
HALF_SHOULDERS, HALF_HIPS = 0.115, 0.06
THIGH, SHANK, UPPER_ARM, FOREARM, HAND, FOOT = 0.245, 0.23, 0.165, 0.14, 0.035, 0.075
HIP_HEIGHT = HEIGHTS['ankle'] + THIGH + SHANK
HEAD_RADIUS = 0.088

#: Points of the head about its centre, in head radii: x to the person's left, y up, z forwards.
HEAD_POINTS: dict[str, tuple[float, float, float]] = {
    'nose': (0.0, -0.1, 0.95),
    'left_eye': (0.36, 0.18, 0.85),
    'right_eye': (-0.36, 0.18, 0.85),
    'left_ear': (0.88, 0.0, 0.0),
    'right_ear': (-0.88, 0.0, 0.0),
    'face': (0.0, -0.17, 0.4),
    'mouth': (0.0, -0.52, 0.8),
    'locks': (0.0, -0.75, -0.2),
}

#: (middle, half-width) of the cones of directions people face, and how often each is taken.
_FACING: tuple[Range, ...] = ((0, 50), (70, 22), (-70, 22), (180, 45))
_FACING_ODDS = (0.56, 0.09, 0.09, 0.26)
#: Arm gestures as ranges of degrees: (swing, spread) of the upper arm, then of the forearm.
ARMS: dict[str, tuple[Range, Range, Range, Range]] = {
    'hang': ((-12, 12), (8, 22), (0, 25), (0, 14)),
    'forward': ((15, 35), (6, 18), (35, 75), (-8, 8)),
    'back': ((-40, -15), (8, 20), (-20, 5), (4, 14)),
    'phone': ((5, 35), (8, 20), (95, 130), (-15, 0)),
    'hip': ((-10, 10), (38, 55), (0, 15), (-45, -25)),
    'wave': ((-5, 15), (85, 125), (-5, 15), (150, 185)),
    'point': ((-10, 15), (65, 95), (-10, 15), (65, 100)),
}

_ARM_ODDS = (0.34, 0.16, 0.13, 0.12, 0.09, 0.09, 0.07)
#: Stances as ranges of degrees: for one leg and for the other, (swing of thigh, of shank, spread).
LEGS: dict[str, tuple[tuple[Range, Range, Range], tuple[Range, Range, Range]]] = {
    'stand': (((-3, 5), (-6, 2), (1, 7)), ((-3, 5), (-6, 2), (1, 7))),
    'astride': (((-3, 6), (-8, 2), (8, 18)), ((-3, 6), (-8, 2), (8, 18))),
    'walk': (((12, 26), (2, 18), (0, 5)), ((-22, -6), (-42, -18), (0, 5))),
    'stride': (((25, 40), (2, 16), (0, 4)), ((-28, -12), (-65, -30), (0, 4))),
    'step up': (((45, 70), (-15, 10), (0, 8)), ((-4, 4), (-6, 2), (0, 6))),
}


def sample_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose: most people face the viewer more or less, some pass by, some walk away."""
    centre, spread = _FACING[int(rng.choice(len(_FACING), p=_FACING_ODDS))]
    yaw = centre + rng.uniform(-spread, spread)
    lead, trail = LEGS[str(rng.choice(list(LEGS)))]
    legs = [_leg(rng, lead), _leg(rng, trail)]
    if rng.random() < 0.5:
        legs.reverse()
    return Pose(
        yaw=yaw,
        head_yaw=yaw + rng.uniform(-22, 22),
        lean=rng.uniform(-5, 5),
        arms=(_arm(rng), _arm(rng)),
        legs=(legs[0], legs[1]),
    )


def _arm(rng: np.random.Generator) -> Limb:
    ranges = ARMS[str(rng.choice(list(ARMS), p=_ARM_ODDS))]
    swing, spread, lower_swing, lower_spread = (rng.uniform(*limits) for limits in ranges)
    return Limb(swing=(swing, lower_swing), spread=(spread, lower_spread))


def _leg(rng: np.random.Generator, ranges: tuple[Range, Range, Range]) -> Limb:
    thigh, shank, spread = (rng.uniform(*limits) for limits in ranges)
    return Limb(swing=(thigh, shank), spread=(spread, spread))


def pose_points(pose: Pose) -> dict[str, Vector]:
    """Where the joints of a body of height 1 are, (3,) each as the viewer sees them: x right, y up.

    The origin is the ground under the pelvis. Besides COCO's keypoints there are hands, toes, the
    box corners of the trunk (`chest_lf` is left front) and the points of the head.
    """
    upper, lower = _trunk(), dict[str, Vector]()
    for side, sign, arm, leg in zip(SIDES, (1, -1), pose.arms, pose.legs, strict=True):
        shoulder = np.array([sign * HALF_SHOULDERS, HEIGHTS['chest'] - 0.015, 0.0])
        elbow = shoulder + UPPER_ARM * _direction(arm.swing[0], arm.spread[0], sign)
        along = _direction(arm.swing[1], arm.spread[1], sign)
        wrist = elbow + FOREARM * along
        joints = {'shoulder': shoulder, 'elbow': elbow, 'wrist': wrist, 'hand': wrist + HAND * along}
        upper |= {f'{side}_{name}': joint for name, joint in joints.items()}
        hip = np.array([sign * HALF_HIPS, HIP_HEIGHT, 0.0])
        knee = hip + THIGH * _direction(leg.swing[0], leg.spread[0], sign)
        ankle = knee + SHANK * _direction(leg.swing[1], leg.spread[1], sign)
        toe = ankle + FOOT * _direction(leg.swing[1] + 75, 8, sign)
        joints = {'hip': hip, 'knee': knee, 'ankle': ankle, 'toe': toe}
        lower |= {f'{side}_{name}': joint for name, joint in joints.items()}
    leaning = {name: _lean(point, pose.lean) for name, point in upper.items()}
    turned = _turn(leaning | lower, pose.yaw)
    head_at = {name: np.array(place) * HEAD_RADIUS for name, place in HEAD_POINTS.items()}
    centre = turned['neck'] + np.array([0, HEIGHTS['head'] - HEIGHTS['neck'], 0])
    head = {name: centre + point for name, point in _turn(head_at, pose.head_yaw).items()}
    return turned | head | {'head': centre}


def flatten(point: Vector) -> Vector:
    """Drop points (..., 3) onto the picture plane, (..., 2) as x to the right, y down."""
    x, y, z = point[..., 0], point[..., 1], point[..., 2]
    return np.stack([x, -y * np.cos(PITCH) + z * np.sin(PITCH)], axis=-1)


def _trunk() -> dict[str, Vector]:
    boxes = {
        'chest': (HALF_SHOULDERS + 0.012, HEIGHTS['chest'], 0.06),
        'waist': (0.082, HEIGHTS['waist'], 0.055),
        'seat': (0.092, HIP_HEIGHT - 0.03, 0.062),
    }
    corners = {
        f'{name}_{side}{face}': np.array([x * sign, y, z * ahead])
        for name, (x, y, z) in boxes.items()
        for side, sign in (('l', 1), ('r', -1))
        for face, ahead in (('f', 1), ('b', -1))
    }
    return corners | {'neck': np.array([0.0, HEIGHTS['neck'], 0.0])}


def _direction(swing: float, spread: float, sign: float) -> Vector:
    forwards, outwards = np.deg2rad(swing), np.deg2rad(spread)
    down = np.cos(outwards)
    return np.array([sign * np.sin(outwards), -down * np.cos(forwards), down * np.sin(forwards)])


def _lean(point: Vector, degrees: float) -> Vector:
    """Tilt a point about the hips in the frontal plane."""
    angle, above = np.deg2rad(degrees), point[1] - HIP_HEIGHT
    x = point[0] * np.cos(angle) + above * np.sin(angle)
    y = -point[0] * np.sin(angle) + above * np.cos(angle)
    return np.array([x, y + HIP_HEIGHT, point[2]])


def _turn(points: dict[str, Vector], yaw: float) -> dict[str, Vector]:
    """Turn points about the vertical axis from the body's frame into the viewer's."""
    sine, cosine = np.sin(np.deg2rad(yaw)), np.cos(np.deg2rad(yaw))
    # At yaw 0 the person's left (x) is on the right of the picture; z comes towards the viewer.
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    turned = np.array(list(points.values())) @ turn.T
    return dict(zip(points, turned, strict=True))


_LIMBS = [f'{side}_{part}' for side in SIDES for part in ('ear', 'upper_arm', 'forearm', 'thigh', 'shank')]
_PARTS = ('trunk', 'backpack', 'neck', 'head', 'face', *_LIMBS)
#: The painted parts of a person -> their codes; a keypoint is seen where one of its own parts is on top.
PART_CODES: Final[dict[str, int]] = {part: code for code, part in enumerate(_PARTS, start=1)}
_JOINT_PARTS: Final[dict[str, tuple[str, ...]]] = {
    'ear': ('ear',),
    'shoulder': ('upper_arm',),
    'elbow': ('upper_arm', 'forearm'),
    'wrist': ('forearm',),
    'hip': ('thigh',),
    'knee': ('thigh', 'shank'),
    'ankle': ('shank',),
}
#: Joints that lie on the trunk as well, and how far out from its middle, in body heights.
_TRUNK_JOINTS = {'shoulder': HALF_SHOULDERS, 'hip': HALF_HIPS}


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
        lowest = min(points[f'{side}_ankle'][1] for side in SIDES)
        drop = np.array([0, lowest - 0.03, 0])
        return {name: point - drop for name, point in points.items()}

    @cached_property
    def places(self) -> dict[str, Point]:
        """Where every point, COCO's 17 keypoints among them, falls in the picture, x, y in pixels."""
        flat = flatten(np.array(list(self.points.values()))) * self.height + self.ground
        return {name: (x, y) for name, (x, y) in zip(self.points, flat.tolist(), strict=True)}

    def at(self, name: str) -> Point:
        """Where a named point falls in the picture, x, y in pixels."""
        return self.places[name]

    def depth(self, *names: str) -> float:
        """Mean nearness to the viewer of some points, in body heights."""
        return sum(float(self.points[name][2]) for name in names) / len(names)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The box about the whole body, hidden or not: x0, y0, x1, y1 in pixels."""
        places = np.array(list(self.places.values()))
        margin = 0.05 * self.height
        (x0, y0), (x1, y1) = places.min(axis=0) - margin, places.max(axis=0) + margin
        return x0, y0, x1, y1

    def parts(self, keypoint: str) -> set[int]:
        """Codes of the parts on which a keypoint is seen."""
        side, _, joint = keypoint.partition('_')
        if joint not in _JOINT_PARTS:
            return {PART_CODES['face']}
        own = {PART_CODES[f'{side}_{part}'] for part in _JOINT_PARTS[joint]}
        # The trunk is solid: a joint well on its far side is not seen through it.
        reach = _TRUNK_JOINTS.get(joint)
        on_trunk = reach is not None and self.depth(keypoint) > -0.75 * reach
        return own | {PART_CODES['trunk']} if on_trunk else own
