"""From data to the config of each network: the data's recipe for HRNet, with another model in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from mmengine.config import Config, ConfigDict

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config
from hrnet_mm.demo.dataset import MANIFEST
from hrnet_mm.make_config import make_config
from hrnet_mm.utils import iter_dicts

from .networks import Entrant
from .request import Race

Model = Mapping[str, Any]

#: mmpose's own start, a normal of 0.001, is made for weights of ImageNet and learns slowly without.
_KAIMING: Final = [
    dict(type='Kaiming', layer='Conv2d'),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
]
_CROPS: Final = ('crop_size', 'input_size', 'size')  # keys of pipelines, codecs and data preprocessors
_WARM_UP: Final = 0.1  # of the budget
_LAST_RATE: Final = 0.01  # of the first
_RECORDS: Final = 20  # in a training's log


def base_config(race: Race) -> Config:
    """HRNet's recipe for the data: pipelines, data sets, metric, batch and rate, which all networks share.

    Raises:
        ConfigError: if the data are not for the task.
    """
    task = race.about
    if not (race.data / MANIFEST).is_file():
        arch = task.archs[race.width]
        out = race.out / 'data.py'
        made = make_config(race.data, task=task.code, arch=arch, out=out, weights='none', overwrite=True)
        base = load_config(made.path)
    elif task.drawn is None:
        expected = 'a folder of images for each class'
        raise ConfigError(key='--data', value=str(race.data), expected=expected)
    elif race.resolution != 1:
        expected = '1 for drawn data, which tools/make_synthetic.py draws in any --size'
        raise ConfigError(key='--resolution', value=race.resolution, expected=expected)
    else:
        config, folder = task.drawn
        base = load_config(f'hrnet_mm::{config}', data_root=race.data / folder)
    _resize(base, factor=race.resolution, multiple=task.multiple)
    return base


def _resize(base: Config, *, factor: float, multiple: int) -> None:
    """Scale images by a factor, and crops to multiples of so many pixels; heatmaps follow their crops."""

    def scaled(length: int) -> int:
        return round(factor * length)

    def cropped(length: int) -> int:
        return max(1, int(factor * length) // multiple) * multiple

    changes = dict.fromkeys(_CROPS, cropped) | {'scale': scaled}
    for part in (base.model, base.train_dataloader, base.test_dataloader):
        for _, step in iter_dicts(part):
            for key in changes.keys() & step.keys():
                value, change = step[key], changes[key]
                step[key] = change(value) if isinstance(value, int) else tuple(map(change, value))
            if 'heatmap_size' in step:
                step['heatmap_size'] = tuple(length // 4 for length in step['input_size'])


def entrant_config(base: Config, entrant: Entrant, race: Race) -> Config:
    """The config that trains and tests one network, all but for its length (``set_length``).

    Args:
        base: From ``base_config``.
        entrant: The network.
        race: The race.
    """
    source = entrant.source(race.width)
    shipped = load_config(source.config if '::' in source.config else f'hrnet_mm::{source.config}')
    shipped.merge_from_dict({f'model.{key}': value for key, value in source.changes.items()})
    cfg = copy.deepcopy(base)
    cfg.model = _ADAPTED[race.about.code](shipped.model, base.model)
    _start_at_random(cfg.model)
    cfg.custom_imports = shipped.get('custom_imports') or base.get('custom_imports')
    batch = race.batch or base.train_dataloader.batch_size
    cfg.optim_wrapper.optimizer.lr = learning_rate(base, entrant, race, batch=batch)
    if race.amp:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    workers = dict(num_workers=race.workers, persistent_workers=race.workers > 0)
    order = dict(type='InfiniteSampler', shuffle=True)
    cfg.train_dataloader.update(workers, batch_size=batch, sampler=order)
    cfg.test_dataloader.update(workers)
    settings = dict(
        budget=race.budget,
        work_dir=str(race.out / entrant.name),
        randomness=dict(seed=race.seed),
        env_cfg={**(cfg.get('env_cfg') or {}), 'cudnn_benchmark': race.device == 'cuda'},
        log_level='WARNING',
        custom_hooks=[
            dict(type='hrnet_mm.TrainProgressHook', title=source.label),
            dict(type='ExamplesHook', folder=str(race.out / entrant.name / 'examples')),
        ],
        # the last weights are tested, whoever does well before
        **dict.fromkeys(('val_dataloader', 'val_evaluator', 'val_cfg')),
    )
    for key, value in settings.items():
        cfg[key] = value
    return cfg


def learning_rate(base: Config, entrant: Entrant, race: Race, *, batch: int) -> float:
    """HRNet's rate for these data, times the network's rate over HRNet's in their recipes.

    Rates go with the batch, as is usual: of SGD in proportion, of Adam, whose steps do not grow with the
    batch's gradient, with its root.
    """
    optimizer, hrnet = base.optim_wrapper.optimizer, race.about.networks[0]
    power = 0.5 if 'Adam' in optimizer.type else 1
    own = race.rate or optimizer.lr * (batch / base.train_dataloader.batch_size) ** power
    return float(own * (entrant.rate / hrnet.rate) * (hrnet.batch / entrant.batch) ** power)


def set_length(cfg: Config, iterations: int) -> None:
    """Make a config train for so many steps: warm up by a line, then down by a cosine."""
    rate, warm = cfg.optim_wrapper.optimizer.lr, round(_WARM_UP * iterations)
    down = dict(begin=warm, end=iterations, T_max=iterations - warm, eta_min=_LAST_RATE * rate)
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, **down)]
    if warm:
        cfg.param_scheduler.insert(0, dict(type='LinearLR', start_factor=0.01, end=warm, by_epoch=False))
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
    records = max(1, iterations // _RECORDS)
    cfg.log_processor = dict(by_epoch=False, window_size=records)
    cfg.default_hooks.update(
        logger=dict(type='LoggerHook', interval=records),
        checkpoint=dict(
            type='hrnet_mm.WholeCheckpointHook', by_epoch=False, interval=5 * records, max_keep_ckpts=1
        ),
    )


# --- Models: what the data decide is taken from HRNet's, the network stays as its recipe has it ---------


def _segmentor(model: ConfigDict, base: ConfigDict) -> Model:
    """The same loss for all, of which auxiliary heads keep their shares; tests pad, as U-Net needs."""
    heads = (model[key] for key in ('decode_head', 'auxiliary_head') if model.get(key))
    for head in (each for group in heads for each in (group if isinstance(group, list) else [group])):
        share = head.loss_decode.get('loss_weight', 1.0)
        head.num_classes = base.decode_head.num_classes
        head.loss_decode = {**base.decode_head.loss_decode, 'loss_weight': share}
    preprocessor = {**base.data_preprocessor, 'test_cfg': dict(size_divisor=32)}
    return {**model, 'data_preprocessor': preprocessor, 'test_cfg': dict(mode='whole')}


def _pose_estimator(model: ConfigDict, base: ConfigDict) -> Model:
    model.backbone.init_cfg = _KAIMING
    model.head.decoder = base.head.decoder
    model.head.out_channels = base.head.out_channels
    return {**model, 'data_preprocessor': base.data_preprocessor, 'test_cfg': base.test_cfg}


def _detector(model: ConfigDict, base: ConfigDict) -> Model:
    """HRNet's detector on another backbone and pyramid, which has as many channels."""
    backbone = {**model.backbone, 'norm_eval': False}  # random weights have no statistics to keep
    return {**base, 'backbone': backbone, 'neck': {**model.neck, 'out_channels': base.neck.out_channels}}


def _classifier(model: ConfigDict, base: ConfigDict) -> Model:
    model.head.update(num_classes=base.head.num_classes, topk=base.head.topk)
    return model


def _start_at_random(model: ConfigDict) -> None:
    """No pretrained weights, and no stages that are frozen because of them."""
    for _, part in iter_dicts(model):
        start = part.get('init_cfg')
        if isinstance(start, dict) and start.get('type') == 'Pretrained':
            part['init_cfg'] = None
        for key, value in (('pretrained', None), ('frozen_stages', -1)):
            if key in part:
                part[key] = value


_ADAPTED: Final[Mapping[str, Callable[[ConfigDict, ConfigDict], Model]]] = {
    'seg': _segmentor,
    'pose': _pose_estimator,
    'det': _detector,
    'cls': _classifier,
}
