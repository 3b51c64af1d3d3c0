"""Which config of ours is inherited for a task and a network, and its schedule and start for other data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmengine.config import Config

from ..models.arch import resolve_arch
from .folder import Data

Values = dict[str, Any]
Notes = list[tuple[str, str]]
#: mmpose's own start, a normal of 0.001, is made for ImageNet weights and learns slowly without.
_KAIMING: Final = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]


@dataclass(frozen=True)
class Recipe:
    """A config of ours for a task, and how it fits other data.

    Attributes:
        base: Its name, with ``{}`` for the network's.
        archs: Networks that there is such a config of; for others the first one's is changed.
        batch: Images a step, where there are enough.
        base_batch: Images a step that its learning rate was chosen for.
        samples: To be seen in a training, within the limits of ``epochs``.
        epochs: Fewest and most.
        metric: What the best checkpoint is chosen by, as the evaluator names it.
    """

    base: str
    archs: tuple[str, ...]
    batch: int
    base_batch: int
    samples: int
    epochs: tuple[int, int]
    metric: str


_PYRAMIDS: Final = ('w18', 'w32', 'w40', 'w48')
_CLASSIFIERS: Final = ('w18', 'w18_small_v1', 'w18_small_v2', 'w30', 'w32', 'w40', 'w44', 'w48', 'w64')
_SEGMENTORS: Final = ('w18', 'w18_small_v1', 'w18_small_v2', 'w40', 'w48')
_BOXES: Final = (3200, (12, 100), 'coco/bbox_mAP')
_MASKS: Final = (3200, (12, 100), 'coco/segm_mAP')
_PEOPLE: Final = (60_000, (20, 210), 'coco/AP')
#: Task, or what is learned in it -> recipes: the first that has the network, or else the last.
RECIPES: Final[Mapping[str, tuple[Recipe, ...]]] = {
    'det': (
        Recipe('hrnetv2p_{}_faster_rcnn_own_coco.py', ('w18_small_v1',), 4, 4, *_BOXES),
        Recipe('hrnetv2p_{}_faster_rcnn_coco_1x.py', _PYRAMIDS, 2, 16, *_BOXES),
    ),
    'masks': (Recipe('hrnetv2p_{}_mask_rcnn_coco_1x.py', _PYRAMIDS, 2, 16, *_MASKS),),
    'seg': (Recipe('hrnetv2_{}_cityscapes.py', _SEGMENTORS, 8, 12, 30_000, (40, 300), 'mIoU'),),
    'pose': (
        Recipe('hrnetv1_{}_own_coco.py', ('w18_small_v1',), 32, 6, *_PEOPLE),
        Recipe('hrnetv1_{}_coco_256x192.py', ('w32', 'w48'), 32, 512, *_PEOPLE),
    ),
    'cls': (Recipe('hrnet_{}_imagenet.py', _CLASSIFIERS, 32, 128, 100_000, (30, 200), 'accuracy/top1'),),
}


def choose_recipe(data: Data, arch: str) -> tuple[Recipe, str]:
    """The recipe for a task and a network, and the network of the config that is inherited."""
    recipes = RECIPES['masks' if data.masks else data.task]
    recipe = next((recipe for recipe in recipes if arch in recipe.archs), recipes[-1])
    return recipe, arch if arch in recipe.archs else recipe.archs[0]


def network(
    data: Data, base: Config, *, arch: str, base_arch: str, weights: str | None
) -> tuple[Values, Notes]:
    """What the model of a config changes for another network and other weights to start from.

    Args:
        data: What is learned.
        base: The config that is inherited.
        arch: The network.
        base_arch: The network of ``base``.
        weights: A file of the backbone's, ``'none'`` for random ones, None for those that ``base`` names.
    """
    backbone: Values = {}
    model: Values = {'backbone': backbone}
    if arch != base_arch:
        backbone['arch'] = arch
        channels = list(resolve_arch(arch)[-1].out_channels)
        if data.task == 'pose':
            model['head'] = dict(in_channels=channels[0])
        elif data.task == 'cls':
            neck = dict(type='HRNetClassificationNeck', in_channels=channels)
            model['neck'] = [neck, dict(type='GlobalAveragePooling')]
        else:
            model['neck'] = dict(in_channels=channels)
        if data.task == 'seg':
            model['decode_head'] = dict(in_channels=sum(channels), channels=sum(channels))
    start = base.model.backbone.get('init_cfg')
    published = start.get('checkpoint') if isinstance(start, dict) and arch == base_arch else None
    if weights not in (None, 'none'):
        backbone |= dict(init_cfg=None, pretrained=weights)
        return model, [('weights', f'of the backbone from {weights}')]
    if published and weights is None:
        return model, [
            ('weights', f'of ImageNet, from {published}; --weights FILE for others, none for random')
        ]
    if data.task == 'pose':
        backbone['init_cfg'] = _KAIMING
    elif start is not None:
        backbone['init_cfg'] = None
    if data.task == 'det':
        backbone['norm_eval'] = False  # with random weights there are no statistics to keep
    return model, [('weights', 'random; --weights FILE for pretrained ones')]


def schedule(data: Data, base: Config, recipe: Recipe) -> tuple[Values, Notes]:
    """Batch, learning rate and length for so many images, all counted in epochs."""
    samples = data.splits['train'].samples
    batch = max(2, min(recipe.batch, samples // 2))
    steps = math.ceil(samples / batch)
    fewest, most = recipe.epochs
    epochs = min(most, max(fewest, math.ceil(recipe.samples / samples)))
    interval = max(1, epochs // 8)
    optimizer = base.optim_wrapper.optimizer
    # Adam's steps do not grow with the batch's gradient: its rate follows the root of the batch
    power = 0.5 if 'Adam' in optimizer.type else 1
    rate = float(f'{optimizer.lr * min(1, batch / recipe.base_batch) ** power:.3g}')
    by_epoch = dict(by_epoch=True, convert_to_iter_based=True)
    values: Values = dict(
        train_dataloader=dict(batch_size=batch),
        train_cfg=dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=interval),
        optim_wrapper=dict(optimizer=dict(lr=rate)),
        param_scheduler=[
            dict(type='LinearLR', begin=0, end=1, start_factor=0.01, **by_epoch),
            dict(type='CosineAnnealingLR', begin=0, end=epochs, T_max=epochs, eta_min=rate / 100, **by_epoch),
        ],
        default_hooks=dict(
            checkpoint=dict(
                by_epoch=True, interval=interval, max_keep_ckpts=2, save_best=recipe.metric, rule='greater'
            ),
            logger=dict(interval=min(50, steps)),
        ),
    )
    if data.task == 'seg':
        values['default_hooks']['logger']['log_metric_by_epoch'] = True
        values['log_processor'] = dict(by_epoch=True)
    notes = [
        ('batch', f'{batch}, {steps} steps an epoch'),
        ('rate', f'{rate:g}, of {optimizer.lr:g} at a batch of {recipe.base_batch}'),
        ('length', f'{epochs} epochs, validated every {interval}; the best by {recipe.metric} is kept'),
    ]
    return values, notes
