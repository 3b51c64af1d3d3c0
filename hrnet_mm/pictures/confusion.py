"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_CELL, _MARGIN = 0.4, 2.0  # inches
_LARGEST = 40.0  # inches a side
_NUMBERED = 40  # classes; the numbers of more would not be legible


def draw_confusion(matrix: npt.NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Each row in percent of its sum, so that rare classes are seen as well as frequent ones.

    Args:
        matrix: ``(C, C)``, how often the class of the row was predicted as the class of the column.
        names: Of the classes.
    """
    share = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(1)
    side = min(_CELL * len(names) + _MARGIN, _LARGEST)
    figure = Figure(figsize=(side, side), layout='constrained')
    FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    axis.imshow(share, cmap='Blues', vmin=0, vmax=100)
    places = range(len(names))
    axis.set(xlabel='prediction', ylabel='truth', title='percent of the truth')
    axis.set_xticks(places, names, rotation=90)
    axis.set_yticks(places, names)
    if len(names) <= _NUMBERED:
        for row, column in np.argwhere(share >= 0.5):
            value = share[row, column]
            colour = 'white' if value > 50 else 'black'
            axis.text(column, row, f'{value:.0f}', ha='center', va='center', color=colour, fontsize=8)
    return figure
