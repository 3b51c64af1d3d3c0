"""Random inputs of mmpose's pose estimators; the config's own pipeline makes the targets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.config import Config

from .shapes import Size, pipelines_of, random_boxes, values_of

#: The transform that turns keypoints into what a loss reads, and the one that packs a sample; all others
#: only alter the image.
_TARGET, _PACKING = 'GenerateTarget', 'PackPoseInputs'
_CORNERS = 'DecoupledHeatmap'  # the codec that wants the corners of boxes
#: The codec of associative embedding, whose loss in mmpose weighs the keypoints of one person alone.
_LONERS = 'AssociativeEmbedding'
_BOTTOM_UP = 'BottomupPoseEstimator'
_INDICES = 'keypoint_indices'
_SIZES = ('input_size', 'heatmap_size')
_SHRINKING = 4


def sizes(cfg: Config) -> tuple[Size, ...]:
    """The codec's, to which heatmaps belong; images of groups are large, and shrink to a quarter."""
    width, height = next(iter(values_of(cfg.model, 'input_size', 'image_size')), (256, 256))
    scale = _SHRINKING if cfg.model.type == _BOTTOM_UP else 1
    return ((int(height) // scale, int(width) // scale),)


def prepare(cfg: Config, size: Size) -> None:
    """Leave out the resizing of batches; the sizes of a bottom-up config shrink with its images."""
    preprocessor = cfg.model.get('data_preprocessor')
    if isinstance(preprocessor, dict) and 'batch_augments' in preprocessor:
        preprocessor['batch_augments'] = None
    if cfg.model.type == _BOTTOM_UP:
        _shrink(cfg)


def batch(cfg: Config, size: Size, *, rng: np.random.Generator, count: int, training: bool) -> dict[str, Any]:
    """Images with people's boxes and keypoints, and the targets that the config's codecs make of them."""
    from mmpose.registry import TRANSFORMS

    target, packing = (TRANSFORMS.build(copy.deepcopy(step)) for step in depends_on(cfg))
    images, samples = [], []
    for index in range(count):
        results = _annotation(cfg, size, rng=rng) | {'id': index, 'img_id': index}
        if training:
            results = target(results)
            results |= _mask(results.get('heatmaps'), cfg) | _indices(results)
        results = packing(results)
        images.append(results['inputs'])
        samples.append(results['data_samples'])
    return {'inputs': images, 'data_samples': samples}


def depends_on(cfg: Config) -> Any:
    """The transform that makes the targets, by the config's codec if no pipeline has it, and the packing."""
    found = (step for step in pipelines_of(cfg) if step['type'] == _TARGET)
    # tests look up metadata that training does not need, so the packing's own choice is left out
    return next(found, {'type': _TARGET, 'encoder': cfg.get('codec')}), {'type': _PACKING}


def _shrink(node: Any) -> None:
    """Divide the sizes of images and heatmaps, wherever a config repeats them, in place."""
    items = list(node.items()) if hasattr(node, 'items') else list(enumerate(node))
    for key, value in items:
        if key in _SIZES and isinstance(value, (list, tuple)):
            node[key] = type(value)(side // _SHRINKING for side in value)
        elif isinstance(value, (dict, list)):
            _shrink(value)


def _mask(heatmaps: Any, cfg: Config) -> dict[str, Any]:
    """Where in the heatmaps of a group of people the loss counts: everywhere."""
    if cfg.model.type != _BOTTOM_UP or not isinstance(heatmaps, np.ndarray):
        return {}
    return {'heatmap_mask': np.ones(heatmaps.shape[1:], dtype=bool)}


def _indices(results: Mapping[str, Any]) -> dict[str, Any]:
    """Let associative embedding's places of keypoints be packed, which mmpose's own packing forgets."""
    if _INDICES not in results:
        return {}
    return {'label_mapping_table': {'keypoint_weights': 'keypoint_weights', _INDICES: _INDICES}}


def _annotation(cfg: Config, size: Size, *, rng: np.random.Generator) -> dict[str, Any]:
    height, width = size
    boxes = random_boxes(rng, size)
    if cfg.model.type != _BOTTOM_UP or _LONERS in _codecs(cfg):
        boxes = boxes[:1]
    people, joints, dims = len(boxes), _keypoints(cfg.model), _dimensions(cfg)
    places = rng.uniform(0.1, 0.9, (people, joints, 2)).astype(np.float32)
    keypoints = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    if dims == 3:
        keypoints = np.concatenate([keypoints, rng.uniform(0, 64, (people, joints, 1))], axis=-1)
    centre = np.array([width / 2, height / 2], dtype=np.float32)
    return {
        'img': rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        'img_mask': np.ones((height, width), dtype=np.uint8),
        'img_path': 'random.png',
        'img_shape': size,
        'ori_shape': size,
        'input_size': (width, height),
        'input_center': centre,
        'input_scale': np.array([width, height], dtype=np.float32),
        'bbox': _corners(boxes) if _CORNERS in _codecs(cfg) else boxes,
        'bbox_score': np.ones(people, dtype=np.float32),
        'bbox_center': (boxes[:, :2] + boxes[:, 2:]) / 2,
        'bbox_scale': boxes[:, 2:] - boxes[:, :2],
        'area': np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        'category_id': np.ones(people, dtype=np.int64),
        'keypoints': keypoints.astype(np.float32),
        'keypoints_visible': np.ones((people, joints), dtype=np.float32),
        'keypoints_visible_weights': np.ones((people, joints), dtype=np.float32),
        'dataset_keypoint_weights': np.ones(joints, dtype=np.float32),
        'flip': False,
        'flip_direction': None,
        'flip_indices': list(range(joints)),
        'flip_pairs': [],
        'upper_body_ids': list(range(joints // 2)),
        'lower_body_ids': list(range(joints // 2, joints)),
        'dataset_name': 'random',
        **_hands(people),
    }


def _hands(people: int) -> dict[str, Any]:
    """What hands in three dimensions have beside their keypoints."""
    return {
        'rel_root_depth': np.array([1.0], dtype=np.float32),
        'rel_root_valid': 1.0,
        'hand_type': np.array([[1.0, 0.0]] * people, dtype=np.float32),
        'hand_type_valid': np.array([1.0], dtype=np.float32),
        'focal': np.array([100.0, 100.0], dtype=np.float32),
        'principal_pt': np.array([64.0, 64.0], dtype=np.float32),
    }


def _keypoints(model: Any) -> int:
    head = model.get('head') or {}
    depth = next(iter(values_of(head, 'depth_size')), None)
    if depth is not None and 'keypoint_head_cfg' in head:
        return 2 * int(head['keypoint_head_cfg']['out_channels']) // int(depth)  # two hands
    if 'combined' in values_of(head, 'heatmap_type'):
        return int(head['out_channels']) // 3  # a map of keypoints and two of offsets for each
    counts = [*values_of(head, 'num_keypoints'), *values_of(head, 'num_joints')]
    return int(counts[0] if counts else next(iter(values_of(head, 'out_channels')), 17))


def _dimensions(cfg: Config) -> int:
    return 3 if any('3D' in kind for kind in _codecs(cfg)) else 2


def _codecs(cfg: Config) -> list[str]:
    return [str(kind) for kind in values_of(depends_on(cfg), 'type')]


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4, 2): upper left, lower left, upper right, lower right, each x y."""
    x1, y1, x2, y2 = boxes.T
    return np.stack([x1, y1, x1, y2, x2, y1, x2, y2], axis=1).reshape(-1, 4, 2)
