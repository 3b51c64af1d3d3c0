"""Random inputs of mmdet's detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from ..utils import iter_dicts
from .backbones import is_int
from .inputs import (
    Batch,
    RandomInputs,
    Size,
    image_facts,
    random_boxes,
    random_image,
    transforms_of,
    values_of,
)

_PERSON: Size = (256, 128)  # what re-identification's pooling covers
#: Parts that predict objects; their ``num_classes`` bounds the labels.
_OBJECT_HEADS = ('bbox_head', 'roi_head', 'mask_head', 'panoptic_head', 'rpn_head', 'head', 'query_head')
_SEMANTIC_HEADS = ('semantic_head', 'segm_head', 'semantic_seg_head')
#: Numbers of boxes and queries that only cost time and memory -> how many do.
_LIMITS: Final[Mapping[str, int]] = {'nms_pre': 200, 'max_per_img': 20, 'num_queries': 300}
_SAMPLES = 32
_THRESHOLDS = ('score_thr', 'filter_thr')
_RE_IDENTIFIES = 'BaseReID'
_BRANCHES = ('sup', 'unsup_teacher', 'unsup_student')


class DetectionInputs(RandomInputs):
    """Boxes, labels, masks, semantic maps and proposals; of three views in semi-supervision."""

    def sizes(self) -> Sequence[Size]:
        """Small, and large enough for many queries and for kernels on coarse levels; some models fit one."""
        if self.cfg.model.type == _RE_IDENTIFIES:
            return (_PERSON,)
        own = next((n for n in values_of(self.cfg.model, 'input_size') if isinstance(n, int)), None)
        return ((own, own),) if own else ((128, 128), (384, 384))

    def prepare(self, size: Size) -> None:
        """Take away what pads or resizes batches.

        How many boxes survive at most has nothing to do with whether a model works, and is lowered; so are
        the scores they need, which no untrained model reaches.
        """
        model = self.cfg.model
        for preprocessor in values_of(model, 'data_preprocessor'):
            if isinstance(preprocessor, dict) and 'batch_augments' in preprocessor:
                preprocessor['batch_augments'] = None
        # heads with a fixed number of proposals keep as many
        has_fixed_number = next(values_of(model, 'num_proposals'), None) is not None
        _lower_limits(model, {} if has_fixed_number else _LIMITS)

    def batch(self, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> Batch:
        if training and 'semi_train_cfg' in self.cfg.model:
            views = {name: self._view(size, rng, count) for name in _BRANCHES}
            return {
                key: {name: view[key] for name, view in views.items()} for key in ('inputs', 'data_samples')
            }
        return self._view(size, rng, count)

    def _view(self, size: Size, rng: np.random.Generator, count: int) -> Batch:
        return {
            'inputs': [random_image(rng, size) for _ in range(count)],
            'data_samples': [self._sample(size, rng, index) for index in range(count)],
        }

    def _sample(self, size: Size, rng: np.random.Generator, index: int) -> Any:
        from mmdet.structures import DetDataSample, ReIDDataSample
        from mmengine.structures import InstanceData, PixelData

        model, facts = self.cfg.model, _facts(size)
        if model.type == _RE_IDENTIFIES:
            return ReIDDataSample(metainfo=facts).set_gt_label(index)  # of two people, for its triplets
        sample = DetDataSample(metainfo=facts)
        sample.gt_instances = self._instances(size, rng)
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
        scale = self._semantic_scale()
        shape = (1, round(size[0] * scale), round(size[1] * scale))
        labels = rng.integers(0, _semantic_classes(model), shape)
        sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(labels))
        if 'roi_head' in model and not model.get('rpn_head'):
            boxes = torch.from_numpy(random_boxes(rng, size))
            sample.proposals = InstanceData(bboxes=boxes, scores=torch.ones(len(boxes)))
        return sample

    def _instances(self, size: Size, rng: np.random.Generator) -> Any:
        from mmdet.structures.mask import BitmapMasks
        from mmengine.structures import InstanceData

        boxes = random_boxes(rng, size)
        masks = np.zeros((len(boxes), *size), dtype=np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) > 0.3
        labels = rng.integers(0, _object_classes(self.cfg.model), len(boxes))
        instances = InstanceData(bboxes=torch.from_numpy(boxes), labels=torch.from_numpy(labels))
        if self._has_masks():
            instances.masks = BitmapMasks(masks, height=size[0], width=size[1])
        return instances

    def _semantic_scale(self) -> float:
        """How small the pipeline makes semantic maps."""
        steps = (step for step in transforms_of(self.cfg) if step['type'] == 'SegRescale')
        return float(next(steps, {}).get('scale_factor', 1))

    def _has_masks(self) -> bool:
        """Whether the pipeline loads masks: some assigners trip over masks that they did not ask for."""
        return any(step.get('with_mask') or 'Panoptic' in step['type'] for step in transforms_of(self.cfg))


def _lower_limits(model: Any, limits: Mapping[str, int]) -> None:
    for _, node in iter_dicts(model):
        for key, value in list(node.items()):
            if key in limits and is_int(value):
                node[key] = min(value, limits[key])
            elif key in _THRESHOLDS and isinstance(value, float):
                node[key] = 0.0
            elif key == 'clip_border':
                node[key] = True  # nobody taught the boxes to stay in the image, where masks can be drawn
            elif key == 'sampler' and isinstance(value, dict) and 'num' in value:
                value['num'] = min(value['num'], _SAMPLES)


def _facts(size: Size) -> dict[str, Any]:
    return image_facts(size) | {
        'img_id': 0,
        'pad_shape': size,
        'scale_factor': (1.0, 1.0),
        'border': np.array([0, size[0], 0, size[1]], dtype=np.float32),  # CornerNet's
        'homography_matrix': np.eye(3, dtype=np.float32),  # SoftTeacher's
    }


def _object_classes(model: Any) -> int:
    if isinstance(model.get('detector'), dict):
        return _object_classes(model['detector'])
    heads = [model[key] for key in _OBJECT_HEADS if key in model]
    # a semantic head inside counts other classes
    heads = [
        {key: part for key, part in head.items() if key not in _SEMANTIC_HEADS}
        if isinstance(head, dict)
        else head
        for head in heads
    ]
    counts = values_of(heads, 'num_classes', 'num_things_classes')
    return min((n for n in counts if isinstance(n, int) and n > 0), default=1)


def _semantic_classes(model: Any) -> int:
    counts = list(values_of(list(values_of(model, *_SEMANTIC_HEADS)), 'num_classes'))
    things = sum(values_of(model.get('panoptic_head', {}), 'num_things_classes', 'num_stuff_classes'))
    return counts[0] if counts else max(things, 1)
