"""Looking at a config's data sets: in seconds before a run, or at every image, label map and annotation."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image as pillow
from torch import nn
from tqdm import tqdm

from ..config.codebases import require_scope
from ..config.errors import ConfigError
from ..config.paths import check_data, iter_datasets
from .agreement import check_agreement
from .coco import BYTE_ORDER_MARK, UnreadableAnnotations, check_coco, has_byte_order_mark, read_coco
from .evaluation import check_detections, check_metric_file, coco_metric
from .findings import KINDS, DataReport, Finding, Severity
from .images import check_file, check_image, check_size, pixel_limit
from .label_maps import check_ids, check_label_map
from .sources import DataSource, ImageTask, iter_sources

#: What ``--split`` says -> the stages.
SPLITS = {'train': ('train',), 'val': ('val',), 'test': ('test',), 'all': ('train', 'val', 'test')}
#: Label maps that are read together: before a run, and by ``check_datasets``.
_AT_START, _AT_MOST = 64, 1000
_CHUNK = 8  # images handed to a worker at a time
_WHERE = 'tools/check_data.py CONFIG lists all'


def check_datasets(cfg: Config, *, split: str = 'all', workers: int = 0, progress: bool = True) -> DataReport:
    """Look at every annotation, image and label map of a config's data sets.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        split: A key of ``SPLITS``.
        workers: Processes that decode images; 0 for this one alone.
        progress: Whether to show a bar.

    Raises:
        ConfigError: if an argument is wrong, a folder or annotation file is missing, or a data set can't
            be built.
    """
    if split not in SPLITS:
        raise ConfigError(key='--split', value=split, expected=f'one of {", ".join(SPLITS)}')
    if workers < 0:
        raise ConfigError(key='--workers', value=workers, expected='0 or more')
    stages = [stage for stage in SPLITS[split] if cfg.get(f'{stage}_dataloader') is not None]
    if not stages:
        raise ConfigError(key='--split', value=split, expected='a split that the config has')
    for stage in stages:  # of these sections alone: the data of others need not be there
        section = Config({f'{stage}_dataloader': cfg[f'{stage}_dataloader']})
        check_data(section, command='test' if stage == 'test' else 'train')
    report = DataReport()
    seen: set[tuple[str, str | None]] = set()
    with DefaultScope.overwrite_default_scope(require_scope(cfg)), pixel_limit(cfg):
        for source in iter_sources(cfg, stages=stages):
            tasks = {(task.path, task.label_map): task for task in reversed(_read(source, report, cfg))}
            new = [task for key, task in reversed(tasks.items()) if key not in seen]
            seen.update(tasks)
            bar = tqdm(_decode(new, workers), source.key, len(new), unit='image', disable=not progress)
            for findings in bar:
                report.add(findings)
            report.add(_label_maps_together(source, new, most=_AT_MOST))
            report.images += len(new)
            report.label_maps += sum(task.label_map is not None for task in new)
    return report


def check_start(cfg: Config, model: nn.Module | None = None, *, stages: Sequence[str]) -> list[str]:
    """Look for what would stop or spoil a run, in seconds; ``data_check=False`` in the config leaves it out.

    Nothing is decoded: annotations are read, file names compared, headers read of what is tested on.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        model: Its model, on any device, for its heads to be compared with the data sets.
        stages: Names among ``train``, ``val`` and ``test``.

    Returns:
        One line for each kind of fault that the run handles.

    Raises:
        ConfigError: for the first that it can't handle, naming file, annotation id and reason.
    """
    if cfg.get('data_check') is False:
        return []
    lines: dict[str, None] = {}
    with DefaultScope.overwrite_default_scope(require_scope(cfg)), pixel_limit(cfg):
        for source in iter_sources(cfg, stages=stages):
            report = DataReport()
            tasks = _read(source, report, cfg)
            report.add(_missing_files(tasks) if source.trains else _unloadable_files(tasks))
            report.add(_label_maps_together(source, tasks, most=_AT_START))
            _require_runnable(report, source)
            lines.update(dict.fromkeys(_handled(report)))
    check_agreement(cfg, model, stages=stages)
    return list(lines)


def _read(source: DataSource, report: DataReport, cfg: Config) -> list[ImageTask]:
    """A data set's images; what is wrong with its annotation files goes into the report."""
    stage = source.key.partition('_')[0]
    metric = None if source.trains else coco_metric(cfg, stage)
    alone = sum(1 for _ in iter_datasets(cfg, stages=[stage])) == 1
    rules = source.coco_rules(alone=alone, evaluated=metric is not None and alone)
    if rules is None:
        if source.ann_file and has_byte_order_mark(source.ann_file):
            report.add([Finding('unreadable annotations', BYTE_ORDER_MARK, source.ann_file)])
            return []
        report.add_new(chain(source.left_out(), source.wrong_labels()))
        return list(source.samples())
    try:
        content = read_coco(rules.file, for_packages=True)
    except UnreadableAnnotations as error:
        report.add([Finding('unreadable annotations', str(error), rules.file)])
        return []
    if rules.file not in report.files:
        report.files.add(rules.file)
        report.annotations += len(content['annotations'])
    report.add_new(check_coco(content, rules))  # a file may be trained and tested on
    if metric is not None and alone:
        report.add_new(check_metric_file(rules.file, metric.get('ann_file'), classes=rules.classes))
        if source.indices is not None:
            reason = f'indices={source.indices} takes a part of it, and the metric reads all'
            report.add_new([Finding('fewer images than the metric', reason, rules.file)])
    if source.bbox_file is not None:
        ids = frozenset(image.get('id') for image in content['images'])
        report.add_new(check_detections(source.bbox_file, images=ids))
    return list(source.coco_images(content['images']))


def _decode(tasks: Sequence[ImageTask], workers: int) -> Iterator[list[Finding]]:
    if not workers:
        yield from map(_check_task, tasks)
        return
    limit = [pillow.MAX_IMAGE_PIXELS]
    with multiprocessing.get_context().Pool(workers, _start_worker, limit) as pool:
        yield from pool.imap(_check_task, tasks, chunksize=_CHUNK)


def _start_worker(limit: int | None) -> None:
    pillow.MAX_IMAGE_PIXELS = limit


def _check_task(task: ImageTask) -> list[Finding]:
    """Everything that is wrong with an image and its label map."""
    own = task.loader.own_size(task.path) if task.loader is not None else None
    faults = check_image(task.path, size=task.size if own is None else None)
    if task.loader is not None:
        faults = task.loader.judge(task.path, faults)
    if own is not None and task.size is not None:
        faults = chain(faults, check_size(own, annotated=task.size, stored=own))
    found = [fault.at(task.path, task.item) for fault in faults]
    if task.label_map is not None and task.label_rules is not None:
        faults = check_label_map(task.label_map, image=task.path, size=own, rules=task.label_rules)
        found += [fault.at(task.label_map, f'of {task.path}') for fault in faults]
    return found


def _label_maps_together(source: DataSource, tasks: Sequence[ImageTask], *, most: int) -> Iterator[Finding]:
    """Of training data alone: few images of a test may well lack a class."""
    paths = [task.label_map for task in tasks if task.label_map is not None]
    rules = source.label_rules()
    if source.trains and paths and rules is not None:
        for fault in check_ids(paths, rules=rules, most=most):
            yield fault.at(os.path.dirname(paths[0]))


def _missing_files(tasks: Iterable[ImageTask]) -> Iterator[Finding]:
    """What is not there, by one look into each folder: training leaves damaged files out as it meets them."""
    folders: dict[str, frozenset[str]] = {}
    for noun, path, item in _files(tasks):
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = frozenset()
            with suppress(OSError):
                folders[folder] = frozenset(os.listdir(folder or '.'))
        if name not in folders[folder]:
            yield Finding(f'missing {noun}', 'there is no such file', path, item)


def _unloadable_files(tasks: Iterable[ImageTask]) -> Iterator[Finding]:
    """What would not load, by its header and end: tests can't leave it out, and validation comes late."""
    for task in {task.path: task for task in tasks}.values():
        for noun, path, item in _files([task]):
            faults = check_file(path, noun=noun)
            if task.loader is not None and noun == 'image':
                faults = task.loader.judge(path, faults)
            yield from (fault.at(path, item) for fault in faults)


def _files(tasks: Iterable[ImageTask]) -> Iterator[tuple[str, str, str]]:
    """Noun, path and item of every image and label map."""
    for task in tasks:
        yield 'image', task.path, task.item
        if task.label_map is not None:
            yield 'label map', task.label_map, f'of {task.path}'


def _require_runnable(report: DataReport, source: DataSource) -> None:
    stopping = [
        kind for kind in report.kinds() if KINDS[kind].severity in (Severity.STOPS, Severity.LEFT_OUT)
    ]
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


def _handled(report: DataReport) -> Iterator[str]:
    for kind in report.kinds():
        if KINDS[kind].severity.is_told:
            first, effect = report.findings[kind][0], KINDS[kind].effect
            yield f'data: {report.counts[kind]} x {kind} ({effect}), the first in {first}; {_WHERE}'
