"""What a stage is evaluated on: the metric's annotation file and a detector's boxes, against the loader's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mmengine.config import Config
from mmengine.fileio import load

from ..config.files import is_remote
from ..config.paths import iter_metrics, type_name
from .coco import UnreadableAnnotations, read_coco
from .findings import Finding

#: The metrics that compare with a COCO file by pycocotools, and so misjudge what it misjudges.
_COCO_METRICS: Final = ('CocoMetric', 'CocoWholeBodyMetric')
_DETECTION_KEYS: Final = ('image_id', 'category_id', 'bbox', 'score')


def coco_metric(cfg: Config, stage: str) -> Mapping[str, Any] | None:
    """The config of the metric that compares a stage's predictions with a COCO file, if there is one."""
    metrics = [metric for _, metric in iter_metrics(cfg, stages=[stage])]
    known = (metric for metric in metrics if type_name(metric.get('type')) in _COCO_METRICS)
    return next((metric for metric in known if not metric.get('format_only')), None)


def check_metric_file(own: str, metric: str | None, *, classes: Sequence[str] | None) -> Iterator[Finding]:
    """Whether loader and metric read the same images and boxes: what one alone has counts as missed.

    Args:
        own: The loader's annotation file, a COCO file that can be read.
        metric: The metric's; None where it takes the loader's.
        classes: That are learned; annotations of others do not matter.
    """
    if not metric or is_remote(metric) or not os.path.isfile(metric) or os.path.samefile(own, metric):
        return
    try:
        mine, theirs = read_coco(own), read_coco(metric, for_packages=True)
    except UnreadableAnnotations as error:
        yield Finding('unreadable annotations', str(error), metric)
        return
    reason = _difference(mine, theirs, classes)
    if reason:
        yield Finding('another file than the metric', f'the metric reads {metric}, where {reason}', own)


def _difference(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], classes: Sequence[str] | None
) -> str | None:
    names = [
        {image.get('id'): image.get('file_name') for image in content['images']} for content in (mine, theirs)
    ]
    if names[0] != names[1]:
        other = next(iter([*(names[0].items() - names[1].items()), *(names[1].items() - names[0].items())]))
        return f'the images are others, such as {other[1]} (id {other[0]}), which is in one of the two'
    points = [{len(points) // 3 for points in _keypoints(content)} for content in (mine, theirs)]
    if all(points) and points[0] != points[1]:
        counts = [' or '.join(map(str, sorted(each))) for each in points]
        return f'annotations have {counts[1]} keypoints instead of {counts[0]}'
    boxes = [_boxes(content, classes) for content in (mine, theirs)]
    differing = [image for image in names[0] if boxes[0].get(image) != boxes[1].get(image)]
    if differing:
        first = names[0][differing[0]]
        return f'{len(differing)} of {len(names[0])} images have other annotations, such as {first}'
    return None


def _keypoints(content: Mapping[str, Any]) -> Iterator[list[Any]]:
    lists = (annotation.get('keypoints') for annotation in content['annotations'])
    return (points for points in lists if isinstance(points, list))


def _boxes(content: Mapping[str, Any], classes: Sequence[str] | None) -> dict[Any, Counter[Any]]:
    """Image id -> the boxes in it, in whole pixels, with their category's name."""
    names = {category.get('id'): category.get('name') for category in content['categories']}
    found: dict[Any, Counter[Any]] = {}
    for annotation in content['annotations']:
        name, box = names.get(annotation.get('category_id')), annotation.get('bbox')
        if (classes is None or name in classes) and isinstance(box, list):
            place = tuple(f'{value:.0f}' for value in box if isinstance(value, (int, float)))
            found.setdefault(annotation.get('image_id'), Counter())[name, place] += 1
    return found


def check_detections(path: str, *, images: frozenset[Any]) -> Iterator[Finding]:
    """Whether a ``bbox_file`` holds boxes of people in a data set's images.

    Args:
        path: The file, as ``CocoDataset`` of mmpose reads it.
        images: The ids of the data set's images.
    """
    try:
        found = load(path)
    except (OSError, ValueError) as error:
        yield Finding('unusable detections', f'cannot be read ({error})', path)
        return
    if not isinstance(found, list) or not found:
        what = 'nothing' if isinstance(found, list) else f'a {type(found).__name__}'
        is_coco = isinstance(found, dict) and 'annotations' in found
        hint = ', a COCO annotation file: that is for ann_file' if is_coco else ''
        expected = f'a list of {{{", ".join(_DETECTION_KEYS)}}}'
        yield Finding('unusable detections', f'holds {what}{hint}; expected {expected}', path)
        return
    for number, box in enumerate(found):
        missing = [key for key in _DETECTION_KEYS if not isinstance(box, dict) or key not in box]
        if missing:
            yield Finding('unusable detections', f'has no {", ".join(missing)}', path, f'box {number}')
            return
        if box['category_id'] == 1 and box['image_id'] not in images:
            reason = f'of image {box["image_id"]}, which the data set does not have'
            yield Finding('unusable detections', reason, path, f'box {number}')
            return
    if not any(box['category_id'] == 1 for box in found):
        yield Finding('unusable detections', 'none of its boxes is of category 1', path)
