"""People: a posed body with a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .body import Body
from .canvas import Canvas, Point
from .looks import Look, sample_look
from .painter import Painter
from .skeleton import sample_pose


@dataclass(frozen=True)
class Figure(Body):
    """One person."""

    look: Look

    category = 'person'

    def paint(self, canvas: Canvas, index: int) -> None:
        """Draw the person as instance `index`."""
        Painter(canvas=canvas, body=self, look=self.look, index=index).paint()


def sample_figure(rng: np.random.Generator, *, ground: Point, height: float) -> Figure:
    """Draw a person to stand at `ground`."""
    return Figure(ground=ground, height=height, pose=sample_pose(rng), look=sample_look(rng))
