"""Random inputs of mmpose's pose estimators; the config's own pipeline makes the targets."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils import iter_dicts
from .inputs import Batch, RandomInputs, Size, image_facts, random_boxes, transforms_of, values_of

#: The transform that turns keypoints into what a loss reads, and the one that packs a sample; all others
#: only alter the image.
_TARGET, _PACKING = 'GenerateTarget', 'PackPoseInputs'
_CORNERS = 'DecoupledHeatmap'  # the codec that wants the corners of boxes
#: The codec of associative embedding, whose loss in mmpose weighs the keypoints of one person alone.
_LONERS = 'AssociativeEmbedding'
_INDICES = 'keypoint_indices'
_SHRINKING = 4  # of images of groups


class PoseInputs(RandomInputs):
    """People's boxes and keypoints, and the targets that the config's codecs make of them."""

    def sizes(self) -> Sequence[Size]:
        """The codec's, to which heatmaps belong; images of groups are large, and shrink to a quarter."""
        width, height = next(values_of(self.cfg.model, 'input_size', 'image_size'), (256, 256))
        scale = _SHRINKING if self._is_bottom_up else 1
        return ((int(height) // scale, int(width) // scale),)

    def prepare(self, size: Size) -> None:
        """Leave out the resizing of batches; the sizes of a bottom-up config shrink with its images."""
        preprocessor = self.cfg.model.get('data_preprocessor')
        if isinstance(preprocessor, dict) and 'batch_augments' in preprocessor:
            preprocessor['batch_augments'] = None
        if not self._is_bottom_up:
            return
        for _, node in iter_dicts(self.cfg._cfg_dict):
            for key in ('input_size', 'heatmap_size'):
                if isinstance(node.get(key), (list, tuple)):
                    node[key] = type(node[key])(side // _SHRINKING for side in node[key])

    def batch(self, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> Batch:
        from mmpose.registry import TRANSFORMS

        target, packing = (TRANSFORMS.build(step) for step in (self._target(), {'type': _PACKING}))
        images, samples = [], []
        for index in range(count):
            results = self._annotation(size, rng) | {'id': index, 'img_id': index}
            if training:
                results = target(results)
                heatmaps = results.get('heatmaps')
                if self._is_bottom_up and isinstance(heatmaps, np.ndarray):
                    # the loss counts everywhere in a group's heatmaps
                    results['heatmap_mask'] = np.ones(heatmaps.shape[1:], dtype=bool)
                if _INDICES in results:
                    # associative embedding's places of keypoints, which mmpose's own packing forgets
                    table = {'keypoint_weights': 'keypoint_weights', _INDICES: _INDICES}
                    results['label_mapping_table'] = table
            results = packing(results)
            images.append(results['inputs'])
            samples.append(results['data_samples'])
        return {'inputs': images, 'data_samples': samples}

    def _target(self) -> dict[str, Any]:
        """The transform that makes the targets, by the config's codec if no pipeline has it."""
        found = (step for step in transforms_of(self.cfg) if step['type'] == _TARGET)
        return copy.deepcopy(next(found, {'type': _TARGET, 'encoder': self.cfg.get('codec')}))

    def _annotation(self, size: Size, rng: np.random.Generator) -> dict[str, Any]:
        height, width = size
        codecs = [str(kind) for kind in values_of(self._target(), 'type')]
        boxes = random_boxes(rng, size)
        if not self._is_bottom_up or _LONERS in codecs:
            boxes = boxes[:1]
        people, joints = len(boxes), self._keypoints()
        places = rng.uniform(0.1, 0.9, (people, joints, 2)).astype(np.float32)
        keypoints = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
        if any('3D' in kind for kind in codecs):
            keypoints = np.concatenate([keypoints, rng.uniform(0, 64, (people, joints, 1))], axis=-1)
        return {
            **image_facts(size),
            'img': rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            'img_mask': np.ones((height, width), dtype=np.uint8),
            'input_size': (width, height),
            'input_center': np.array([width / 2, height / 2], dtype=np.float32),
            'input_scale': np.array([width, height], dtype=np.float32),
            'bbox': _corners(boxes) if _CORNERS in codecs else boxes,
            'bbox_score': np.ones(people, dtype=np.float32),
            'bbox_center': (boxes[:, :2] + boxes[:, 2:]) / 2,
            'bbox_scale': boxes[:, 2:] - boxes[:, :2],
            'area': np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
            'category_id': np.ones(people, dtype=np.int64),
            'keypoints': keypoints.astype(np.float32),
            'keypoints_visible': np.ones((people, joints), dtype=np.float32),
            'keypoints_visible_weights': np.ones((people, joints), dtype=np.float32),
            'dataset_keypoint_weights': np.ones(joints, dtype=np.float32),
            'flip_indices': list(range(joints)),
            'flip_pairs': [],
            'upper_body_ids': list(range(joints // 2)),
            'lower_body_ids': list(range(joints // 2, joints)),
            'dataset_name': 'random',
            # what hands in three dimensions have beside their keypoints
            'rel_root_depth': np.array([1.0], dtype=np.float32),
            'rel_root_valid': 1.0,
            'hand_type': np.array([[1.0, 0.0]] * people, dtype=np.float32),
            'hand_type_valid': np.array([1.0], dtype=np.float32),
            'focal': np.array([100.0, 100.0], dtype=np.float32),
            'principal_pt': np.array([64.0, 64.0], dtype=np.float32),
        }

    def _keypoints(self) -> int:
        head = self.cfg.model.get('head') or {}
        depth = next(values_of(head, 'depth_size'), None)
        if depth is not None and 'keypoint_head_cfg' in head:
            return 2 * int(head['keypoint_head_cfg']['out_channels']) // int(depth)  # two hands
        if 'combined' in values_of(head, 'heatmap_type'):
            return int(head['out_channels']) // 3  # a map of keypoints and two of offsets for each
        keys = ('num_keypoints', 'num_joints', 'out_channels')
        return int(next((count for key in keys for count in values_of(head, key)), 17))

    @property
    def _is_bottom_up(self) -> bool:
        return bool(self.cfg.model.type == 'BottomupPoseEstimator')


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4, 2): upper left, lower left, upper right, lower right, each x y."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([x1, y1, x1, y2, x2, y1, x2, y2], axis=1).reshape(-1, 4, 2)
