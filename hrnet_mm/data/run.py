"""Checks of whole data sets, every image decoded."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence

from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from tqdm import tqdm

from ..config.codebases import require_scope
from ..config.errors import ConfigError
from ..config.paths import check_data
from .coco import check_coco
from .findings import Finding
from .image_header import pixel_limit, pixel_limit_of
from .images import check_image
from .json_file import UnreadableAnnotations, read_coco
from .label_maps import check_label_map
from .report import Report
from .sources import DataSource, ImageTask, iter_sources

#: What ``--split`` says -> the stages.
SPLITS = {'train': ('train',), 'val': ('val',), 'test': ('test',), 'all': ('train', 'val', 'test')}
_CHUNK = 8  # images handed to a worker at a time


def check_datasets(cfg: Config, *, split: str = 'all', workers: int = 0, progress: bool = True) -> Report:
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
    report = Report()
    seen: set[tuple[str, str | None]] = set()
    with DefaultScope.overwrite_default_scope(require_scope(cfg)), pixel_limit_of(cfg):
        for source in iter_sources(cfg, stages=stages):
            tasks = {(task.path, task.label_map): task for task in reversed(_tasks(source, report))}
            new = [task for key, task in reversed(tasks.items()) if key not in seen]
            seen.update(tasks)
            _check_files(new, report, workers=workers, title=source.key, progress=progress)
    return report


def _tasks(source: DataSource, report: Report) -> list[ImageTask]:
    rules = source.coco_rules()
    if rules is None:
        return list(source.samples())
    try:
        content = read_coco(rules.file)
    except UnreadableAnnotations as error:
        report.add([Finding(kind='unreadable annotations', file=rules.file, reason=str(error))])
        return []
    if rules.file not in report.files:
        report.files.add(rules.file)
        report.annotations += len(content['annotations'])
    report.add_new(check_coco(content, rules))  # a file may be trained and tested on
    return list(source.coco_images(content['images']))


def _check_files(
    tasks: Sequence[ImageTask], report: Report, *, workers: int, title: str, progress: bool
) -> None:
    bar = tqdm(total=len(tasks), desc=title, unit='image', disable=not progress)
    with bar:
        for findings in _findings(tasks, workers):
            report.add(findings)
            bar.update()
    report.images += len(tasks)
    report.label_maps += sum(task.label_map is not None for task in tasks)


def _findings(tasks: Sequence[ImageTask], workers: int) -> Iterator[list[Finding]]:
    if not workers:
        yield from map(check_task, tasks)
        return
    with multiprocessing.get_context().Pool(workers, _start_worker, [pixel_limit()]) as pool:
        yield from pool.imap(check_task, tasks, chunksize=_CHUNK)


def _start_worker(limit: int) -> None:
    Image.MAX_IMAGE_PIXELS = limit or None


def check_task(task: ImageTask) -> list[Finding]:
    """Everything that is wrong with an image and its label map."""
    found = list(check_image(task.path, size=task.size, item=task.item))
    if task.label_map is not None and task.label_rules is not None:
        found += check_label_map(task.label_map, image=task.path, rules=task.label_rules)
    return found
