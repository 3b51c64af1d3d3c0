"""Throw-away data sets and configs, and toy models whose results are known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData

WIDTH, HEIGHT = 96, 64
IMAGES = ('north/a.jpg', 'south/a.jpg', 'b.jpg', 'c.png')  # two of one name, two formats
CLASSES = ('cat', 'dog')

COMMON = """
custom_imports = dict(imports=['tiny_projects'], allow_failed_imports=False)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
auto_scale_lr = dict(base_batch_size=4)
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=100)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
"""
LOADERS = """
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(batch_size=2, num_workers=0, dataset={test_dataset},
                      sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = {evaluator}
test_evaluator = val_evaluator
"""


@MODELS.register_module(force=True)
class StepCounter(BaseModel):
    """A classifier that counts its training steps in a buffer, and always says class 0."""

    def __init__(self) -> None:
        super().__init__(data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'))
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        if mode == 'loss':
            self.steps += 1
            return {'loss': self.weight.square()}
        for sample in data_samples:
            sample.set_pred_label(0).set_pred_score(torch.tensor([1.0, 0.0]))
        return data_samples


@MODELS.register_module(force=True)
class TruthTeller(BaseModel):
    """Predicts the truth, whatever the task; with ``shift``, keypoints and boxes off to the right.

    Args:
        preprocessor: Config of the data preprocessor.
        shift: Distance in pixels.
    """

    def __init__(self, preprocessor: dict[str, Any], shift: float = 0.0) -> None:
        super().__init__(data_preprocessor=preprocessor)
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.shift = shift

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        if mode == 'loss':
            return {'loss': self.weight.square()}
        for sample in data_samples:
            if 'gt_sem_seg' in sample:
                sample.pred_sem_seg = PixelData(data=sample.gt_sem_seg.data.clone())
            else:
                sample.pred_instances = self._instances(sample.gt_instances)
        return data_samples

    def _instances(self, truth: InstanceData) -> InstanceData:
        boxes = truth.bboxes + np.float32(self.shift)
        if 'keypoints' not in truth:
            return InstanceData(bboxes=boxes, scores=torch.ones(len(boxes)), labels=truth.labels)
        return InstanceData(
            bboxes=boxes,
            bbox_scores=np.ones(len(boxes), np.float32),
            keypoints=truth.keypoints + np.float32(self.shift),
            keypoint_scores=np.ones(truth.keypoints.shape[:2], np.float32),
            keypoints_visible=np.ones(truth.keypoints.shape[:2], np.float32),
        )


def write_images(folder: Path, names: Sequence[str] = IMAGES) -> None:
    """Grey images, each of another grey, so that what is drawn on them stands out."""
    for index, name in enumerate(names):
        _write(folder / name, np.full((HEIGHT, WIDTH, 3), 60 + 20 * index, np.uint8))


def write_coco(root: Path) -> Path:
    """``images/`` and ``people.json``: two people in the first image, one in each other."""
    write_images(root / 'images')
    owners = [0, 0, 1, 2, 3]
    people = [_person(index, image) for index, image in enumerate(owners)]
    images = [
        {'id': index, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}
        for index, name in enumerate(IMAGES)
    ]
    record = {'images': images, 'annotations': people, 'categories': [{'id': 1, 'name': 'person'}]}
    path = root / 'people.json'
    path.write_text(json.dumps(record))
    return path


def write_detections(root: Path) -> Path:
    """``detections.json`` for the people of ``write_coco``, one spurious box among them."""
    people = json.loads((root / 'people.json').read_text())['annotations']
    found = [{**{k: p[k] for k in ('image_id', 'category_id', 'bbox')}, 'score': 1} for p in people]
    found.append({'image_id': 2, 'category_id': 1, 'bbox': [1, 1, 10, 20], 'score': 0.1})
    path = root / 'detections.json'
    path.write_text(json.dumps(found))
    return path


def write_masks(root: Path) -> None:
    """``images/`` and ``masks/``: class 1 in the left third, class 0 elsewhere."""
    write_images(root / 'images')
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 3] = 1
    for name in IMAGES:
        _write(root / 'masks' / Path(name).with_suffix('.png'), mask)


def write_classes(root: Path) -> None:
    """Three cats and one dog, all called ``a.jpg``."""
    write_images(root, ['cat/x/a.jpg', 'cat/y/a.jpg', 'cat/a.jpg', 'dog/a.jpg'])


def classification_config(root: Path) -> str:
    return f"""
default_scope = 'mmpretrain'
data_root = '{root}'
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
dataset = dict(type='CustomDataset', data_root=data_root, data_prefix='', pipeline=pipeline,
               metainfo=dict(classes={CLASSES}))
model = dict(type='StepCounter')
""" + _common(evaluator="dict(type='Accuracy', topk=1)")


def segmentation_config(root: Path) -> str:
    return f"""
default_scope = 'mmseg'
data_root = '{root}'
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]
dataset = dict(type='BaseSegDataset', data_root=data_root, img_suffix='.jpg', pipeline=pipeline,
               data_prefix=dict(img_path='images', seg_map_path='masks'),
               metainfo=dict(classes={CLASSES}, palette=[[255, 0, 0], [0, 0, 255]]))
model = dict(type='TruthTeller',
             preprocessor=dict(type='SegDataPreProcessor', size=({HEIGHT}, {WIDTH})))
""" + _common(evaluator="dict(type='IoUMetric', iou_metrics=['mIoU'])")


def detection_config(root: Path) -> str:
    return f"""
default_scope = 'mmdet'
data_root = '{root}/'
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs',
                 meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
dataset = dict(type='CocoDataset', data_root=data_root, ann_file='people.json', pipeline=pipeline,
               data_prefix=dict(img='images/'), metainfo=dict(classes=('person',)))
model = dict(type='TruthTeller', preprocessor=dict(type='DetDataPreprocessor'), shift=4)
""" + _common(evaluator="dict(type='CocoMetric', ann_file=data_root + 'people.json')")


def pose_config(root: Path) -> str:
    return f"""
default_scope = 'mmpose'
data_root = '{root}/'
pipeline = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
            dict(type='TopdownAffine', input_size=(48, 64)), dict(type='PackPoseInputs')]
dataset = dict(type='CocoDataset', data_root=data_root, data_mode='topdown',
               ann_file='people.json', data_prefix=dict(img='images/'), pipeline=pipeline)
model = dict(type='TruthTeller', preprocessor=dict(type='PoseDataPreprocessor'), shift=4)
""" + _common(evaluator="dict(type='CocoMetric', ann_file=data_root + 'people.json')")


def _common(*, evaluator: str) -> str:
    test_dataset = 'dict(**dataset, test_mode=True)'
    return COMMON + LOADERS.format(evaluator=evaluator, test_dataset=test_dataset)


def _person(index: int, image: int) -> dict[str, Any]:
    left, top, width, height = 8 + 40 * (index % 2), 6, 30, 48
    points = [
        value for k in range(17) for value in (left + 3 + 6 * (k % 4), top + 3 + 2.5 * k, 2 if k % 5 else 1)
    ]
    return {
        'id': index + 1,
        'image_id': image,
        'category_id': 1,
        'bbox': [left, top, width, height],
        'area': width * height,
        'iscrowd': 0,
        'keypoints': points,
        'num_keypoints': 17,
    }


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


#: Scope -> what writes its data to a folder, and what gives the text of its config for that folder.
WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], str]]] = {
    'mmpretrain': (write_classes, classification_config),
    'mmseg': (write_masks, segmentation_config),
    'mmdet': (write_coco, detection_config),
    'mmpose': (write_coco, pose_config),
}
