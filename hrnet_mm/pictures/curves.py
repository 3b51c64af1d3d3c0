"""Curves of losses, learning rates and metrics: the logs of several training runs in one picture.

MMEngine writes ``<timestamp>/vis_data/scalars.json``, one record a line.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.errors import ConfigError
from ..config.files import require_file
from ..utils import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
_MANY_DOTS = 40  # fewer points than these are marked
_STYLES, _MARKERS = ('-', '--', ':', '-.'), 'os^Dv'


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value.

    Attributes:
        iteration: Training iterations done. For a metric that was logged by epoch: those of the last
            training record before it.
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
        training: Key -> values in the order of iterations: losses, learning rates, accuracies, times.
        validation: The same for what validation logged. A key that training logs too begins with ``val/``.
        logs: Number of log files.
        superseded: Values of earlier logs that were left out, see ``read_run``.
    """

    name: str
    training: Mapping[str, tuple[Point, ...]]
    validation: Mapping[str, tuple[Point, ...]]
    logs: int
    superseded: int

    @property
    def keys(self) -> list[str]:
        """All keys, training's first."""
        return [*self.training, *self.validation]

    @property
    def metrics(self) -> list[str]:
        """Validation keys that say something: neither times nor metrics that are -1 throughout."""
        return [
            key
            for key, points in self.validation.items()
            if key.removeprefix('val/') not in _NO_METRICS
            and any(point.value != _UNDEFINED for point in points)
        ]

    def points(self, key: str) -> tuple[Point, ...]:
        """The values of a key; none if the run never logged it."""
        return self.training.get(key) or self.validation.get(key) or ()

    @property
    def iterations(self) -> int:
        """Training iterations up to the last record."""
        return max((points[-1].iteration for points in self.training.values()), default=0)

    def summary(self) -> str:
        """One line."""
        parts = [f'{self.logs} log{"s" * (self.logs != 1)}', f'{self.iterations} iterations']
        parts += [f'{self.superseded} values of earlier logs superseded'] if self.superseded else []
        return f'{self.name}: {", ".join(parts)}'


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


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A line of a log and where it stands."""

    training: bool
    iteration: int
    epoch: int | None
    values: Mapping[str, float]


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
    if not files:
        expected = f'the work folder of a training, with <timestamp>/{_LOG} in it'
        expected = expected if place.is_dir() else 'an existing folder'
        raise ConfigError(key='WORK_DIR', value=str(folder), expected=expected)
    kept: list[_Record] = []
    superseded = 0
    for file in files:
        records = list(_records(file))
        start = next((record.iteration for record in records if record.training), math.inf)
        superseded += sum(len(record.values) for record in kept if record.iteration >= start)
        kept = [*(record for record in kept if record.iteration < start), *records]
    if not kept:
        raise ConfigError(
            key='WORK_DIR', value=str(folder), expected=f'a log with a record in it: {files[-1]}'
        )
    training = _by_key(record for record in kept if record.training)
    validation = _by_key(record for record in kept if not record.training)
    return Run(
        name=str(folder),
        training=training,
        validation={f'val/{key}' if key in training else key: points for key, points in validation.items()},
        logs=len(files),
        superseded=superseded,
    )


def _records(file: Path) -> Iterator[_Record]:
    last: Mapping[str, Any] = {}
    for line in _lines(file):
        # a log processor may keep hierarchies in the keys
        values = {
            key.removeprefix('train/').removeprefix('val/'): float(value)
            for key, value in line.items()
            if key not in _PLACES and isinstance(value, (int, float)) and not isinstance(value, bool)
        }
        if 'iter' in line:  # MMEngine counts iterations in training records alone
            last = line
            yield _Record(training=True, iteration=int(line['iter']), epoch=None, values=values)
        else:
            iteration, epoch = _place(int(line.get('step', 0)), last)
            yield _Record(training=False, iteration=iteration, epoch=epoch, values=values)


def _place(step: int, last: Mapping[str, Any]) -> tuple[int, int | None]:
    """Iteration and epoch of a validation.

    Its step is an epoch or an iteration, as the config's LoggerHook has it. In training by iterations with
    a LoggerHook that counts epochs it is neither: it stays 0 while the data never end.

    Args:
        step: As logged.
        last: The training record before it, empty where there is none.
    """
    iteration, epoch = int(last.get('iter', step)), last.get('epoch')
    if epoch is None:
        return max(step, iteration), None
    if step > epoch:
        return max(step, iteration), int(epoch)
    return iteration, step or int(epoch)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip('\0 \t')]
    for number, line in filled:
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == filled[-1][0]:
                return
            raise ConfigError(
                key=f'line {number}', value=line[:40], expected=f'a JSON record in {file} ({error.msg})'
            ) from error
        if isinstance(record, dict):
            yield record


def _by_key(records: Iterable[_Record]) -> dict[str, tuple[Point, ...]]:
    """Key -> points in order; of two at one place the latest stays."""
    table: dict[str, dict[tuple[int, int], Point]] = {}
    for record in records:
        for key, value in record.values.items():
            point = Point(iteration=record.iteration, epoch=record.epoch, value=value)
            table.setdefault(key, {})[record.iteration, record.epoch or 0] = point
    return {key: tuple(points[place] for place in sorted(points)) for key, points in table.items()}


# --- Drawing ------------------------------------------------------------------------------------------


def choose_panels(runs: Sequence[Run], keys: Sequence[str] | None = None) -> dict[str, list[str]]:
    """What to draw: the title of each panel, and its keys.

    Args:
        runs: Runs.
        keys: As asked for, a panel each; each has to be in one run at least.

    Raises:
        ConfigError: naming the keys that exist, if one doesn't, or if there is nothing to draw.
    """
    existing = dict.fromkeys(key for run in runs for key in run.keys)
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
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    names, colours = _names(runs), _colours(max(len(runs), *map(len, panels.values())))
    lines: dict[str, Any] = {}
    for axis, (title, keys) in zip(axes, panels.items(), strict=False):
        lines = _draw_panel(axis, runs, keys, names=names, colours=colours) | lines
        axis.set_title(title, fontsize=9, loc='left')
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    labels = [name for name in names if name in lines]
    handles = [lines[name] for name in labels]
    figure.legend(handles, labels, loc='outside upper left', ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_panel(
    axis: Any, runs: Sequence[Run], keys: Sequence[str], *, names: Sequence[str], colours: Sequence[Any]
) -> dict[str, Any]:
    """Draw the keys of one panel; gives a line of each run."""
    by_epoch = all(point.epoch is not None for run in runs for key in keys for point in run.points(key))
    lines: dict[str, Any] = {}
    drawn: list[Any] = []
    for index, (run, name) in enumerate(zip(runs, names, strict=True)):
        for number, key in enumerate(keys):
            points = run.points(key)
            if not points:
                continue
            style = {
                'color': colours[number if len(runs) == 1 else index],
                'linestyle': '-' if len(runs) == 1 else _STYLES[number % len(_STYLES)],
                'marker': _MARKERS[number % len(_MARKERS)] if len(points) < _MANY_DOTS else '',
                'markersize': 6 if len(points) == 1 else 3,
            }
            places = [point.epoch if by_epoch else point.iteration for point in points]
            values = [point.value for point in points]
            (line,) = axis.plot(places, values, label=key, linewidth=1.2, **style)
            if len(points) == 1:  # no line shows how large it is
                axis.annotate(f' {values[0]:.4g}', (places[0], values[0]), fontsize=8, va='bottom')
            lines.setdefault(name, line)
            drawn.append(line)
    axis.set_xlabel('epoch' if by_epoch else 'iteration', fontsize=8)
    if all(len(line.get_xdata()) == 1 for line in drawn):
        _frame_lone_points(axis, drawn, end=0 if by_epoch else max(run.iterations for run in runs))
    if len(keys) > 1:
        by_key = {line.get_label(): line for line in reversed(drawn)}
        legend = axis.legend([by_key[key] for key in keys], keys, fontsize=7)
        for handle in legend.legend_handles if len(runs) > 1 else ():
            handle.set_color('black')  # a run's colour is not the key's
    return lines


def _frame_lone_points(axis: Any, lines: Sequence[Any], *, end: float) -> None:
    """Axes from 0 to beyond points that are alone, where matplotlib would show a sliver around them."""
    right = max(end, *(float(line.get_xdata()[0]) for line in lines), 1.0)
    values = [float(line.get_ydata()[0]) for line in lines]
    axis.set_xlim(0, 1.15 * right)
    if all(math.isfinite(value) and value >= 0 for value in values) and any(values):
        axis.set_ylim(0, 1.25 * max(values))


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
