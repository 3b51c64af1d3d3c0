"""Curves of losses, learning rates and metrics: the logs of several training runs in one picture.

MMEngine writes ``<timestamp>/vis_data/scalars.json``, one record a line.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..config.errors import ConfigError
from ..config.files import require_file
from ..utils import atomic_write

#: Training keys that are drawn unless others are asked for; every metric of validation comes with them.
DEFAULT_KEYS = ('loss', 'lr')

_LOG = 'vis_data/scalars.json'
#: What a record says about its place, not about the training.
_PLACES = frozenset({'iter', 'epoch', 'step'})
#: What validation logs beside metrics.
_NO_METRICS = frozenset({'time', 'data_time', 'memory'})
#: Metrics that belong together: what the matched part of their keys has in common names their panel.
_FAMILIES = (
    re.compile(r'(.*(?:AP|AR))(?:[_ @(].*)?'),  # coco/AP, coco/AP .5; coco/bbox_mAP, coco/bbox_mAP_50
    re.compile(r'(.*/|)[ma](?:IoU|Acc|Dice|Fscore|Precision|Recall)'),
    re.compile(r'(.*/top)\d+'),
    re.compile(r'(.*/)(?:precision|recall|f1-score)(?:_.*)?'),
)
_UNDEFINED = -1.0  # what COCO's evaluation gives where there is nothing to evaluate, as of small objects
_COLUMNS = 3
_PANEL = (4.2, 2.9)  # inches
_MOST_MARKERS = 20  # on a curve
_STYLES, _MARKERS = ('-', '--', ':', '-.'), 'os^Dv'


class Point(NamedTuple):
    """One value.

    Attributes:
        iteration: Training iterations done; for validation, those of the last training record before it.
        epoch: Training epochs done; None for training values, and where the log doesn't count epochs.
        value: nan where the log has it so.
    """

    iteration: int
    epoch: int | None
    value: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """All logs of one work folder.

    Attributes:
        name: The folder as given.
        curves: Key -> values in the order of iterations: what training logged, and the metrics and losses of
            validation. A key that both log is ``val/...`` for validation.
        metrics: Keys of validation that say something: not those that are -1 throughout.
        logs: Number of log files.
    """

    name: str
    curves: Mapping[str, Sequence[Point]]
    metrics: Sequence[str]
    logs: int

    def summary(self) -> str:
        """One line."""
        iterations = max(points[-1].iteration for points in self.curves.values())
        return f'{self.name}: {self.logs} log{"s" * (self.logs != 1)}, {iterations} iterations'


def plot_logs(
    folders: Sequence[str | Path], *, out: str | Path, keys: Sequence[str] | None = None
) -> tuple[list[Run], list[str]]:
    """Draw the logs of work folders, a colour per run.

    Args:
        folders: Work folders, see ``read_run``.
        out: PNG to write; its folder is made where it is missing.
        keys: What to draw, a panel for each. Left out: total loss, learning rate and every metric of
            validation, related ones in one panel.

    Returns:
        The runs, and the keys that were drawn.

    Raises:
        ConfigError: before anything is written, if a log, a key or the file name is wrong.
    """
    target = require_file(out, key='--out', ending='.png')
    runs = [read_run(folder) for folder in folders]
    panels = choose_panels(runs, keys)
    with atomic_write(target) as aside:
        draw_curves(runs, panels).savefig(aside, dpi=120, format='png')
    return runs, list(chain.from_iterable(panels.values()))


# --- Reading ------------------------------------------------------------------------------------------


class _Record(NamedTuple):
    """A line of a log: its place, as of ``Point``, and its numbers by key."""

    is_training: bool
    iteration: int
    epoch: int | None
    values: dict[str, float]


def read_run(folder: str | Path) -> Run:
    """Read the logs of a work folder, in the order of their timestamps.

    Every start of a training, resumed or from scratch, has a log of its own. From the first iteration
    that a log holds, it replaces all earlier ones: what they have beyond was lost or done again. A last
    line that is cut off, as a killed run leaves it, is passed over.

    Args:
        folder: A work folder, or one of the folders named by a timestamp in it.

    Raises:
        ConfigError: if there is no log, none with a record, or a broken line before the last.
    """
    place = Path(folder)
    files = sorted(chain(place.glob(_LOG), place.glob(f'*/{_LOG}')))
    records: list[_Record] = []
    for file in files:
        new = list(_records(file))
        start = min((each.iteration for each in new if each.is_training), default=math.inf)
        records = [each for each in records if each.iteration < start] + new
    if not records:
        expected = f'the work folder of a training, with <timestamp>/{_LOG} in it'
        expected = expected if place.is_dir() else 'an existing folder'
        expected = f'a log with a record in it: {files[-1]}' if files else expected
        raise ConfigError(key='WORK_DIR', value=str(folder), expected=expected)
    trained = {key for each in records if each.is_training for key in each.values}
    curves: dict[str, list[Point]] = {}
    metrics: dict[str, None] = {}
    for is_training, iteration, epoch, values in records:
        for key, value in values.items():
            name = f'val/{key}' if key in trained and not is_training else key
            curves.setdefault(name, []).append(Point(iteration, epoch, value))
            metrics |= {} if is_training or value == _UNDEFINED else {name: None}
    return Run(name=str(folder), curves=curves, metrics=list(metrics), logs=len(files))


def _records(file: Path) -> Iterator[_Record]:
    iteration, epoch = 0, None
    for fields in _lines(file):
        is_training = 'iter' in fields  # MMEngine counts iterations in training records alone
        if is_training:
            iteration, epoch = int(fields['iter']), fields.get('epoch')
        else:  # step is an epoch or an iteration, as the config's LoggerHook has it; 0 of endless data
            iteration = max(iteration, int(fields.get('step', 0)))
        unwanted = _PLACES if is_training else _PLACES | _NO_METRICS
        values = {
            key.removeprefix('train/').removeprefix('val/'): float(value)
            for key, value in fields.items()
            if key not in unwanted and type(value) in (int, float)
        }
        yield _Record(is_training, iteration, None if is_training else epoch, values)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip('\0 \t')]
    for number, line in filled:
        try:
            yield dict(json.loads(line))
        except ValueError as error:
            if number == filled[-1][0]:
                return
            expected = f'a JSON record in {file} ({error})'
            raise ConfigError(key=f'line {number}', value=line[:40], expected=expected) from error


# --- Drawing ------------------------------------------------------------------------------------------


def choose_panels(runs: Sequence[Run], keys: Sequence[str] | None = None) -> dict[str, list[str]]:
    """What to draw: the title of each panel, and its keys.

    Args:
        runs: Runs.
        keys: As asked for, a panel each; each has to be in one run at least.

    Raises:
        ConfigError: naming the keys that exist, if one doesn't, or if there is nothing to draw.
    """
    existing = dict.fromkeys(key for run in runs for key in run.curves)
    for key in keys or ():
        if key not in existing:
            raise ConfigError(key='--keys', value=key, expected=f'one of {", ".join(existing)}')
    if keys:
        return {key: [key] for key in keys}
    panels = {key: [key] for key in DEFAULT_KEYS if key in existing}
    for key in dict.fromkeys(key for run in runs for key in run.metrics):
        matches = [match for family in _FAMILIES if (match := family.fullmatch(key))]
        family = f'{matches[0].re.pattern} {matches[0][1]}' if matches else key
        panels.setdefault(family, []).append(key)
    if not panels:
        raise ConfigError(key='--keys', value=None, expected=f'some of {", ".join(existing)}')
    return {_title(each): each for each in panels.values()}


def _title(keys: Sequence[str]) -> str:
    common = os.path.commonprefix(keys)  # noqa: RUF071  of names, not of paths
    return common.rstrip(' _/(.') or ', '.join(keys)


def draw_curves(runs: Sequence[Run], panels: Mapping[str, Sequence[str]]) -> Figure:
    """Draw panels. One whose keys all runs log by epoch is drawn over epochs, others over iterations.

    Args:
        runs: Runs, each in a colour of its own, the same in every panel; the keys of a panel differ by the
            style of their lines, or, of a single run, by colour.
        panels: Titles and keys, at least one.
    """
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    count = max(len(runs), *map(len, panels.values()))
    chosen: Any = range(count) if count <= 10 else np.linspace(0, 1, count)
    colours = [to_hex(each) for each in colormaps['tab10' if count <= 10 else 'turbo'](chosen)]
    for number, (title, keys) in enumerate(panels.items(), start=1):
        _draw_panel(figure.add_subplot(rows, columns, number), title, runs, keys, colours=colours)
    paths = [os.path.abspath(run.name) for run in runs]
    above = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = [os.path.relpath(path, above) for path in paths]
    handles = [Line2D([], [], color=colour) for _, colour in zip(runs, colours, strict=False)]
    figure.legend(handles, names, loc='outside upper left', ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_panel(
    axis: Axes, title: str, runs: Sequence[Run], keys: Sequence[str], *, colours: Sequence[Any]
) -> None:
    several = len(runs) > 1
    curves = [points for run in runs for key in keys if (points := run.curves.get(key))]
    by_epoch = all(point.epoch is not None for points in curves for point in points)
    for index, key in enumerate(keys):
        style: dict[str, Any] = {'marker': _MARKERS[index % len(_MARKERS)], 'markersize': 3}
        style['linestyle'] = _STYLES[index % len(_STYLES)] if several else '-'
        # in the legend black where there are several runs, whose colours are not the key's
        axis.plot([], [], label=key, color='black' if several else colours[index], **style)
        for run, colour in zip(runs, colours if several else colours[index:], strict=False):
            points = run.curves.get(key, ())
            places: Any = [point.epoch if by_epoch else point.iteration for point in points]
            values = [point.value for point in points]
            every = max(1, len(points) // _MOST_MARKERS)
            (line,) = axis.plot(places, values, color=colour, linewidth=1.2, markevery=every, **style)
            if len(points) == 1:  # no line shows how large it is
                line.set_markersize(6)
                axis.annotate(f' {values[0]:.4g}', (places[0], values[0]), fontsize=8, va='bottom')
    if all(len(points) == 1 for points in curves):  # matplotlib would show a sliver around them
        axis.update_datalim([(0, 0)])
        axis.margins(0.15)
        axis.set(xlim=(0, None), ylim=(axis.dataLim.y0, None))
    if len(keys) > 1:
        axis.legend(fontsize=7)
    axis.set_title(title, fontsize=9, loc='left')
    axis.set_xlabel('epoch' if by_epoch else 'iteration', fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    axis.spines[['top', 'right']].set_visible(False)
