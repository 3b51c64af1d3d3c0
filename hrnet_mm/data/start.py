"""The checks before a run: annotations, file names, headers of what is tested on. Nothing is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ..config.codebases import require_scope
from ..config.errors import ConfigError
from .coco import check_coco
from .findings import KINDS, Finding, Severity
from .image_header import pixel_limit_of
from .images import glance
from .json_file import UnreadableAnnotations, read_coco
from .report import Report
from .sources import DataSource, ImageTask, iter_sources

_WHERE = 'tools/check_data.py CONFIG lists all'


def check_start(cfg: Config, *, stages: Sequence[str]) -> list[str]:
    """Look for what would stop or spoil a run, in seconds; ``data_check=False`` in the config leaves it out.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        stages: Names among ``train``, ``val`` and ``test``.

    Returns:
        One line for each kind of fault that the run handles.

    Raises:
        ConfigError: for the first that it can't handle, naming file, annotation id and reason.
    """
    if cfg.get('data_check') is False:
        return []
    lines: list[str] = []
    seen: set[str] = set()
    with DefaultScope.overwrite_default_scope(require_scope(cfg)), pixel_limit_of(cfg):
        for source in iter_sources(cfg, stages=stages, skip_broken=True):
            report = Report()
            report.add(_findings(source))
            _require_runnable(report, source)
            lines += [line for line in _handled(report) if line not in seen]
            seen.update(lines)
    return lines


def missing_files(tasks: Iterable[ImageTask]) -> Iterator[Finding]:
    """The images and label maps that are not there, by one look into each folder."""
    folders: dict[str, frozenset[str]] = {}
    for task in tasks:
        for noun, path in (('image', task.path), ('label map', task.label_map)):
            if path is not None and not _is_listed(path, folders):
                item = task.item if noun == 'image' else f'of {task.path}'
                yield Finding(kind=f'missing {noun}', file=path, item=item, reason='there is no such file')


def _findings(source: DataSource) -> Iterator[Finding]:
    rules = source.coco_rules()
    if rules is None:
        # a data set that lists a folder knows that its images are there, but not its label maps
        if not source.trains or source.label_rules() is not None:
            yield from _check_files(source, source.samples())
        return
    try:
        content = read_coco(rules.file)
    except UnreadableAnnotations as error:
        yield Finding(kind='unreadable annotations', file=rules.file, reason=str(error))
        return
    yield from check_coco(content, rules)
    yield from _check_files(source, source.coco_images(content['images']))


def _check_files(source: DataSource, tasks: Iterable[ImageTask]) -> Iterator[Finding]:
    """Training leaves damaged files out, when it comes upon them; tests can't, and validation comes late."""
    if source.trains:
        yield from missing_files(tasks)
        return
    for task in {task.path: task for task in tasks}.values():
        yield from glance(task.path, item=task.item)
        if task.label_map is not None:
            yield from glance(task.label_map, item=f'of {task.path}', noun='label map')


def _require_runnable(report: Report, source: DataSource) -> None:
    stopping = [kind for kind in report.kinds() if KINDS[kind].severity.is_damage]
    if not stopping:
        return
    first = report.findings[stopping[0]][0]
    others = sum(report.counts[kind] for kind in stopping) - 1
    place = f'{first.item}: ' if first.item else ''
    more = f'; {others} more, {_WHERE}' if others else ''
    raise ConfigError(
        key=source.key,
        value=first.file,
        expected=f'data without faults ({place}{first.kind}: {first.reason}{more})',
    )


def _handled(report: Report) -> Iterator[str]:
    for kind in report.kinds():
        if KINDS[kind].severity is Severity.HANDLED:
            first = report.findings[kind][0]
            count, effect = report.counts[kind], KINDS[kind].effect
            yield f'data: {count} x {kind} ({effect}), the first in {first}; {_WHERE}'


def _is_listed(path: str, folders: dict[str, frozenset[str]]) -> bool:
    folder, name = os.path.split(path)
    if folder not in folders:
        try:
            folders[folder] = frozenset(os.listdir(folder or '.'))
        except OSError:
            folders[folder] = frozenset()
    return name in folders[folder]
