"""Random inputs of mmdet's detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from .shapes import Size, pipelines_of, random_boxes, random_image, values_of

_PERSON: Size = (256, 128)  # what re-identification's pooling covers
_SIZES: tuple[Size, ...] = ((128, 128), (384, 384))
#: Parts that predict objects; their ``num_classes`` bounds the labels.
_OBJECT_HEADS = ('bbox_head', 'roi_head', 'mask_head', 'panoptic_head', 'rpn_head', 'head', 'query_head')
_SEMANTIC_HEADS = ('semantic_head', 'segm_head', 'semantic_seg_head')
#: Numbers of boxes and queries that only cost time and memory -> how many do.
_LIMITS: Mapping[str, int] = {'nms_pre': 200, 'max_per_img': 20, 'num_queries': 300}
_SAMPLES = 32
_THRESHOLDS = ('score_thr', 'filter_thr')
_RE_IDENTIFIES = 'BaseReID'
_BRANCHES = ('sup', 'unsup_teacher', 'unsup_student')


def sizes(cfg: Config) -> tuple[Size, ...]:
    """Small, and large enough for many queries and for kernels on coarse levels; some models fit one size."""
    if cfg.model.type == _RE_IDENTIFIES:
        return (_PERSON,)
    own = next((n for n in values_of(cfg.model, 'input_size') if isinstance(n, int)), None)
    return ((own, own),) if own else _SIZES


def prepare(cfg: Config, size: Size) -> None:
    """Take away what pads or resizes batches.

    How many boxes survive at most has nothing to do with whether a model works, and is lowered; so are the
    scores they need, which no untrained model reaches.
    """
    for preprocessor in _preprocessors(cfg.model):
        if 'batch_augments' in preprocessor:
            preprocessor['batch_augments'] = None
    # heads with a fixed number of proposals keep as many
    has_fixed_number = any(True for _ in values_of(cfg.model, 'num_proposals'))
    _lower_limits(cfg.model, {} if has_fixed_number else _LIMITS)


def _lower_limits(node: Any, limits: Mapping[str, int]) -> None:
    items = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
    for key, value in items:
        if isinstance(key, str) and key in limits and isinstance(value, int) and not isinstance(value, bool):
            node[key] = min(value, limits[key])
        elif key in _THRESHOLDS and isinstance(value, float):
            node[key] = 0.0
        elif key == 'clip_border':
            node[key] = True  # nobody taught the boxes to stay in the image, where masks can be drawn
        elif key == 'sampler' and isinstance(value, dict) and 'num' in value:
            value['num'] = min(value['num'], _SAMPLES)
        elif isinstance(value, (dict, list, tuple)):
            _lower_limits(value, limits)


def batch(cfg: Config, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> dict[str, Any]:
    """Images with boxes, labels, masks, semantic maps and proposals; of three views in semi-supervision."""
    if training and _is_semi_supervised(cfg.model):
        views = {name: _view(cfg, size, rng=rng, count=count) for name in _BRANCHES}
        return {key: {name: view[key] for name, view in views.items()} for key in ('inputs', 'data_samples')}
    return _view(cfg, size, rng=rng, count=count)


def depends_on(cfg: Config) -> Any:
    """How small the pipeline makes semantic maps, whether it loads masks, and the preprocessor."""
    return _semantic_scale(cfg), _has_masks(cfg), cfg.get('data_preprocessor')


def _view(cfg: Config, size: Size, *, rng: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        'inputs': [random_image(rng, size) for _ in range(count)],
        'data_samples': [_sample(cfg, size, rng=rng, index=index) for index in range(count)],
    }


def _sample(cfg: Config, size: Size, *, rng: np.random.Generator, index: int) -> Any:
    from mmdet.structures import DetDataSample, ReIDDataSample
    from mmengine.structures import InstanceData, PixelData

    if cfg.model.type == _RE_IDENTIFIES:
        return ReIDDataSample(metainfo=_meta(size)).set_gt_label(index)  # of two people, for its triplets
    sample = DetDataSample(metainfo=_meta(size))
    sample.gt_instances = _instances(cfg, size, rng=rng)
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    scale = _semantic_scale(cfg)
    shape = (1, round(size[0] * scale), round(size[1] * scale))
    labels = rng.integers(0, _semantic_classes(cfg.model), shape)
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(labels))
    if 'roi_head' in cfg.model and not cfg.model.get('rpn_head'):
        boxes = torch.from_numpy(random_boxes(rng, size))
        sample.proposals = InstanceData(bboxes=boxes, scores=torch.ones(len(boxes)))
    return sample


def _instances(cfg: Config, size: Size, *, rng: np.random.Generator) -> Any:
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    boxes = random_boxes(rng, size)
    masks = np.zeros((len(boxes), *size), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) > 0.3
    labels = rng.integers(0, _object_classes(cfg.model), len(boxes))
    instances = InstanceData(bboxes=torch.from_numpy(boxes), labels=torch.from_numpy(labels))
    if _has_masks(cfg):
        instances.masks = BitmapMasks(masks, height=size[0], width=size[1])
    return instances


def _meta(size: Size) -> dict[str, Any]:
    return {
        'img_id': 0,
        'img_path': 'random.png',
        'img_shape': size,
        'ori_shape': size,
        'pad_shape': size,
        'scale_factor': (1.0, 1.0),
        'flip': False,
        'flip_direction': None,
        'border': np.array([0, size[0], 0, size[1]], dtype=np.float32),  # CornerNet's
        'homography_matrix': np.eye(3, dtype=np.float32),  # SoftTeacher's
    }


def _object_classes(model: Any) -> int:
    heads = [_without(model[key]) for key in _OBJECT_HEADS if key in model]
    if isinstance(model.get('detector'), dict):
        return _object_classes(model['detector'])
    counts = [
        n for n in values_of(heads, 'num_classes', 'num_things_classes') if isinstance(n, int) and n > 0
    ]
    return min(counts, default=1)


def _without(node: Any) -> Any:
    """A head without its semantic head, which counts other classes."""
    if not isinstance(node, dict):
        return node
    return {key: value for key, value in node.items() if key not in _SEMANTIC_HEADS}


def _semantic_classes(model: Any) -> int:
    heads = list(values_of(model, *_SEMANTIC_HEADS))
    counts = list(values_of(heads, 'num_classes'))
    things = sum(values_of(model.get('panoptic_head', {}), 'num_things_classes', 'num_stuff_classes'))
    return counts[0] if counts else max(things, 1)


def _semantic_scale(cfg: Config) -> float:
    scales = [step.get('scale_factor', 1) for step in pipelines_of(cfg) if step['type'] == 'SegRescale']
    return float(scales[0]) if scales else 1.0


def _has_masks(cfg: Config) -> bool:
    """Whether the pipeline loads masks: some assigners trip over masks that they did not ask for."""
    return any(step.get('with_mask') or 'Panoptic' in step['type'] for step in pipelines_of(cfg))


def _is_semi_supervised(model: Any) -> bool:
    return 'semi_train_cfg' in model


def _preprocessors(model: Any) -> list[dict[str, Any]]:
    return [p for p in values_of(model, 'data_preprocessor') if isinstance(p, dict)]
