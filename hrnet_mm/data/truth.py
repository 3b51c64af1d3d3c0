"""The truth of a data set as perfect predictions, in the form in which each codebase's metrics take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def poses(dataset: Any, index: int) -> dict[str, Any]:
    """The people of one index of mmpose's data set: each keypoint where it is annotated, score 1."""
    info = dataset.get_data_info(index)
    boxes = np.asarray(info['bbox'], np.float32).reshape(-1, 4)
    points = np.asarray(info['keypoints'], np.float32)[..., :2]
    seen = np.asarray(info['keypoints_visible'], np.float32)
    ones = np.ones(points.shape[:2], np.float32)
    shared = {'bboxes': boxes, 'bbox_scores': np.ones(len(boxes), np.float32), 'keypoints': points}
    truth = {**shared, 'bbox_scales': boxes[:, 2:] - boxes[:, :2], 'keypoints_visible': seen}
    found = {**shared, 'keypoint_scores': ones, 'keypoints_visible': ones}
    return {
        **{key: info[key] for key in ('id', 'img_id', 'raw_ann_info', 'crowd_index') if key in info},
        'category_id': info.get('category_id', 1),
        'ori_shape': info.get('img_shape'),
        'gt_instances': {**truth, **{key: info[key] for key in ('head_size',) if key in info}},
        'pred_instances': found,
    }


def boxes(dataset: Any, index: int) -> dict[str, Any]:
    """The objects of one image of mmdet's data set, crowds left out: box, label and, where drawn, mask."""
    info = dataset.get_data_info(index)
    things = [thing for thing in info['instances'] if not thing.get('ignore_flag')]
    found: dict[str, Any] = {
        'bboxes': torch.tensor([thing['bbox'] for thing in things], dtype=torch.float32).reshape(-1, 4),
        'labels': torch.tensor([thing['bbox_label'] for thing in things], dtype=torch.long),
        'scores': torch.ones(len(things)),
    }
    size = (info['height'], info['width'])
    if all('mask' in thing for thing in things):
        found['masks'] = [_run_lengths(thing['mask'], size) for thing in things]
    keys = ('img_id', 'img_path', 'instances')
    return {**{key: info[key] for key in keys if key in info}, 'ori_shape': size, 'pred_instances': found}


def _run_lengths(segmentation: Any, size: tuple[int, int]) -> Mapping[str, Any]:
    """One compressed run-length mask of polygons or run lengths."""
    from pycocotools import mask as coco

    if isinstance(segmentation, Mapping) and isinstance(segmentation['counts'], (str, bytes)):
        return segmentation
    drawn = coco.frPyObjects(segmentation, *size)
    merged: Mapping[str, Any] = coco.merge(drawn) if isinstance(drawn, list) else drawn
    return merged


def label_map(dataset: Any, index: int) -> dict[str, Any]:
    """The label map of one image of mmseg's data set, as its pipeline loads it; ignored: 0."""
    sample = dataset[index]['data_samples']
    truth = sample.gt_sem_seg.data
    count = len(dataset.metainfo['classes'])
    found = torch.where(truth < count, truth, torch.zeros_like(truth))
    return {**sample.to_dict(), 'pred_sem_seg': {'data': found}, 'gt_sem_seg': {'data': truth}}


def label(dataset: Any, index: int) -> dict[str, Any]:
    """The class of one image of mmpretrain's data set, with score 1."""
    truth = torch.tensor(dataset.get_data_info(index)['gt_label']).reshape(-1)
    scores = torch.zeros(len(dataset.metainfo['classes']))
    scores[truth] = 1
    return {'gt_label': truth, 'pred_label': truth, 'pred_score': scores}
