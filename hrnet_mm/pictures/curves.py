"""Curves of losses, learning rates and metrics: several training runs in one picture."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.errors import ConfigError
from ..config.files import require_file
from .curves_log import Point, Run, read_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Training keys that are drawn unless others are asked for; every metric of validation comes with them.
DEFAULT_KEYS = ('loss', 'lr')

_COLUMNS = 3
_PANEL = (4.2, 2.9)  # inches
_MANY_DOTS = 40  # fewer points than these are marked: a single one would make no line


def plot_logs(
    folders: Sequence[str | Path], *, out: str | Path, keys: Sequence[str] | None = None
) -> tuple[list[Run], list[str]]:
    """Draw the logs of work folders: a panel per key, a colour per run.

    Args:
        folders: Work folders, see ``read_run``.
        out: PNG to write; its folder is made where it is missing.
        keys: What to draw. Left out: total loss, learning rate and every metric of validation.

    Returns:
        The runs, and the keys that were drawn.

    Raises:
        ConfigError: before anything is written, if a log, a key or the file name is wrong.
    """
    target = require_file(out, key='--out', ending='.png')
    runs = [read_run(folder) for folder in folders]
    chosen = choose_keys(runs, keys)
    draw_curves(runs, chosen).savefig(target, dpi=120)
    return runs, chosen


def choose_keys(runs: Sequence[Run], keys: Sequence[str] | None = None) -> list[str]:
    """What to draw, each key once.

    Args:
        runs: Runs.
        keys: As asked for; each has to be in one run at least.

    Raises:
        ConfigError: naming the keys that exist, if one doesn't, or if there is nothing to draw.
    """
    existing = _union(run.keys for run in runs)
    for key in keys or ():
        if key not in existing:
            raise ConfigError(key='--keys', value=key, expected=f'one of {", ".join(existing)}')
    if keys:
        return list(dict.fromkeys(keys))
    chosen = [key for key in DEFAULT_KEYS if key in existing] + _union(run.metrics for run in runs)
    if not chosen:
        raise ConfigError(key='--keys', value=None, expected=f'some of {", ".join(existing)}')
    return chosen


def draw_curves(runs: Sequence[Run], keys: Sequence[str]) -> Figure:
    """One panel per key. A key that all runs log by epoch is drawn over epochs, others over iterations.

    Args:
        runs: Runs, each in a colour of its own, the same in every panel.
        keys: At least one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    names, colours = _names(runs), _colours(len(runs))
    lines: dict[str, Any] = {}
    for panel, key in zip(panels, keys, strict=False):
        by_epoch = all(point.epoch is not None for run in runs for point in run.points(key))
        for run, name, colour in zip(runs, names, colours, strict=True):
            if run.points(key):
                lines[name] = _draw_line(panel, run.points(key), by_epoch=by_epoch, name=name, colour=colour)
        panel.set_title(key, fontsize=9, loc='left')
        panel.set_xlabel('epoch' if by_epoch else 'iteration', fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
        panel.spines[['top', 'right']].set_visible(False)
    for panel in panels[len(keys) :]:
        panel.set_visible(False)
    if lines:
        figure.legend(
            lines.values(), lines.keys(), loc='outside upper left', ncols=3, fontsize=8, frameon=False
        )
    return figure


def _draw_line(panel: Any, points: Sequence[Point], *, by_epoch: bool, name: str, colour: Any) -> Any:
    places = [point.epoch if by_epoch else point.iteration for point in points]
    values = [point.value for point in points]
    marker = 'o' if len(points) < _MANY_DOTS else ''
    (line,) = panel.plot(places, values, label=name, color=colour, marker=marker, markersize=3, linewidth=1.2)
    return line


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, with so much of their paths that no two are alike."""
    parts = [Path(os.path.abspath(run.name)).parts for run in runs]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [os.path.join(*part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f'{run.name} ({number})' for number, run in enumerate(runs, start=1)]  # one folder, given twice


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    if count <= 10:
        return [colormaps['tab10'](number) for number in range(count)]
    return [colormaps['turbo'](number / (count - 1)) for number in range(count)]


def _union(lists: Any) -> list[str]:
    return list(dict.fromkeys(item for one in lists for item in one))
