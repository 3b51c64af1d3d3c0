"""What each task's data change in a config: heads, sizes, pipelines, data sets and evaluators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from mmengine.config import Config

from .folder import Data
from .recipes import Notes, Values

#: Width and height in pixels.
Size = tuple[int, int]

#: Crops of people and other things, width and height; all about the recipe's 192x256.
_CROPS: Final = ((192, 256), (256, 256), (256, 192))
#: Of Cityscapes' recipe: how large images become at most, width and height.
_LARGEST_SCENE: Final = (2048, 1024)


class Name(str):
    """A variable of the config, which its text shows bare."""

    def __repr__(self) -> str:
        return str(self)


def detection(data: Data, size: Size, base: Config) -> tuple[Values, Notes]:
    """Heads for the classes; images of their own size, at most the recipe's."""
    count = len(data.metainfo['classes'])
    heads = dict(bbox_head=dict(num_classes=count))
    if data.masks:
        heads['mask_head'] = dict(num_classes=count)
    largest = next(
        step['scale'] for step in base.train_dataloader.dataset.pipeline if step['type'] == 'Resize'
    )
    scale = _within(size, largest)
    read = dict(type='LoadImageFromFile')
    truth = dict(type='LoadAnnotations', with_bbox=True, **({'with_mask': True} if data.masks else {}))
    resize = dict(type='Resize', scale=scale, keep_ratio=True)
    keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    values = dict(
        metainfo=data.metainfo,
        model=dict(roi_head=heads),
        train_pipeline=[read, truth, resize, dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')],
        test_pipeline=[read, resize, truth, dict(type='PackDetInputs', meta_keys=keys)],
        **_loaders(
            data,
            more=dict(metainfo=Name('metainfo')),
            train=dict(filter_cfg=dict(filter_empty_gt=True, min_size=1)),
        ),
        **_coco_evaluators(data),
    )
    return values, [('size', f'{scale[0]}x{scale[1]}')]


def segmentation(data: Data, size: Size, base: Config) -> tuple[Values, Notes]:
    """A head for the classes, all of the same weight; crops of the recipe's size, at most the images' own."""
    scale = _within(size, _LARGEST_SCENE)
    height, width = base.model.data_preprocessor.size
    crop = min(height, scale[1]), min(width, scale[0])
    read, labels = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')
    pack = dict(type='PackSegInputs')
    scaled = dict(type='Resize', scale=scale, keep_ratio=True)
    values = dict(
        metainfo=data.metainfo,
        crop_size=crop,
        model=dict(
            data_preprocessor=dict(size=crop),
            decode_head=dict(
                num_classes=len(data.metainfo['classes']),
                loss_decode=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            ),
        ),
        train_pipeline=[
            read,
            labels,
            dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=crop, cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            pack,
        ],
        test_pipeline=[read, scaled, labels, pack],
        **_loaders(
            data, more=dict(_delete_=True, type='hrnet_mm.SegmentationFolder', metainfo=Name('metainfo'))
        ),
    )
    values['train_dataloader']['sampler'] = dict(type='DefaultSampler', shuffle=True)
    return values, [('size', f'crops of {crop[1]}x{crop[0]} from {scale[0]}x{scale[1]}')]


def pose(data: Data, size: Size, base: Config) -> tuple[Values, Notes]:
    """A head for the keypoints; crops of the boxes' shape; flips where names tell what is mirrored."""
    shape = median(data.boxes)
    crop = min(_CROPS, key=lambda size: abs(size[0] / size[1] - shape))
    codec = {**base.model.head.decoder, 'input_size': crop, 'heatmap_size': (crop[0] // 4, crop[1] // 4)}
    affine: Values = dict(type='TopdownAffine', input_size=crop)
    if codec['type'] == 'UDPHeatmap':
        affine['use_udp'] = True
    points = data.metainfo.get('keypoint_info')
    mirrored = points is None or any(point['swap'] for point in points.values())
    load = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
    chance = [dict(type='RandomFlip', direction='horizontal')] if mirrored else []
    chance += [dict(type='RandomHalfBody')] if points is None else []
    chance.append(dict(type='RandomBBoxTransform'))
    metainfo = dict(metainfo=Name('metainfo')) if points else {}
    head = dict(decoder=Name('codec'), **(dict(out_channels=len(points)) if points else {}))
    values = dict(
        **(dict(metainfo=data.metainfo) if points else {}),
        codec=codec,
        model=dict(head=head, test_cfg=dict(flip_test=mirrored)),
        train_pipeline=[
            *load,
            *chance,
            affine,
            dict(type='GenerateTarget', encoder=Name('codec')),
            dict(type='PackPoseInputs'),
        ],
        test_pipeline=[*load, affine, dict(type='PackPoseInputs')],
        **_loaders(data, more=metainfo, test=dict(bbox_file=None)),
        **_coco_evaluators(data),
    )
    flips = '' if mirrored else '; no flips, since no names tell which keypoints change places'
    return values, [('size', f'crops of {crop[0]}x{crop[1]}{flips}')]


def classification(data: Data, size: Size, base: Config) -> tuple[Values, Notes]:
    """A head for the classes; crops of 224x224, or less where images are smaller."""
    side = max(32, min(224, min(size) // 32 * 32))
    read, pack = dict(type='LoadImageFromFile'), dict(type='PackInputs')
    count = len(data.metainfo['classes'])
    values = dict(
        metainfo=data.metainfo,
        model=dict(head=dict(num_classes=count, topk=(1,))),
        data_preprocessor=dict(num_classes=count),
        train_pipeline=[
            read,
            dict(type='RandomResizedCrop', scale=side, backend='pillow'),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            pack,
        ],
        test_pipeline=[
            read,
            dict(type='ResizeEdge', scale=round(side * 8 / 7), edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=side),
            pack,
        ],
        **_loaders(data, more=dict(_delete_=True, type='CustomDataset', metainfo=Name('metainfo'))),
        val_evaluator=dict(topk=(1,)),
        test_evaluator=Name('val_evaluator'),
    )
    return values, [('size', f'crops of {side}x{side}')]


def _within(size: Size, largest: Sequence[int]) -> Size:
    """Width and height, made smaller where they do not fit into the largest, which may lie on its side."""
    factor = min(1, max(largest) / max(size), min(largest) / min(size))
    return round(size[0] * factor), round(size[1] * factor)


def _loaders(data: Data, *, more: Values, train: Values | None = None, test: Values | None = None) -> Values:
    """The three data loaders; where there is nothing to test on, it is done on the validation's."""

    def dataset(split: str, pipeline: str, special: Values | None) -> Values:
        own = data.splits[split].dataset
        return dict(
            dataset=dict(
                **more, data_root=Name('data_root'), **own, **(special or {}), pipeline=Name(pipeline)
            )
        )

    loaders: Values = dict(
        train_dataloader=dataset('train', 'train_pipeline', train),
        val_dataloader=dataset('val', 'test_pipeline', test),
        test_dataloader=Name('val_dataloader'),
    )
    if 'test' in data.splits:
        loaders['test_dataloader'] = dataset('test', 'test_pipeline', test)
    return loaders


def _coco_evaluators(data: Data) -> Mapping[str, Any]:
    files = {name: str(data.root / split.dataset['ann_file']) for name, split in data.splits.items()}
    test = dict(ann_file=files['test']) if 'test' in files else Name('val_evaluator')
    return dict(val_evaluator=dict(ann_file=files['val']), test_evaluator=test)


#: Task -> what its config says of data, model and evaluation, in order, and what was decided.
TASKS: Final[Mapping[str, Callable[[Data, Size, Config], tuple[Values, Notes]]]] = {
    'pose': pose,
    'seg': segmentation,
    'det': detection,
    'cls': classification,
}
