"""``--what pose``, ``seg``, ``det`` and ``cls``: the packages' own recipes, and ours in their place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from hrnet_mm.config.load import load_config
from hrnet_mm.swap.backbones import drop_weights
from hrnet_mm.swap.inputs import random_inputs

from .backbones import timms_name
from .drivers import Classifier, Detector, Driver, FloatHeads, WholeModel
from .lively import calibrate, enliven
from .matches import Entrant, Maker, Match, build, copy_weights, extra_of, random_images, widths_of
from .request import Request, Shape

_CLASSES = 1000  # ImageNet


def _pose_ours(model: dict[str, Any], widths: list[int]) -> None:
    """Nothing but the one word."""


def _seg_ours(model: dict[str, Any], widths: list[int]) -> None:
    """The concatenation and its mix move from the head into a neck."""
    head = model['decode_head']
    model['neck'] = {
        'type': 'HRNetV2Neck',
        'in_channels': widths,
        'conv_bias': False,
        'align_corners': head['align_corners'],
        'norm_cfg': head['norm_cfg'],
    }
    head.pop('input_transform')
    head.update(in_channels=sum(widths), in_index=0, num_convs=0)


def _det_ours(model: dict[str, Any], widths: list[int]) -> None:
    model['neck']['type'] = 'hrnet_mm.HRFPN'


def _cls_ours(model: dict[str, Any], widths: list[int]) -> None:
    model['neck'][0] = {'type': 'HRNetClassificationNeck', 'in_channels': widths}


@dataclass(frozen=True)
class Recipe:
    """A package's own config of one kind.

    Attributes:
        config: its name.
        widen: the model's options that follow from the streams' channels.
        ours: how the model's config becomes ours, beside the backbone.
        driver: how its models are used.
    """

    config: str
    widen: Callable[[list[int]], dict[str, Any]]
    ours: Callable[[dict[str, Any], list[int]], None]
    driver: Callable[[list[Any]], Driver] = WholeModel


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        'pose': Recipe(
            'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
            lambda widths: {'head.in_channels': widths[0]},
            _pose_ours,
            FloatHeads,
        ),
        'seg': Recipe(
            'mmseg::hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
            lambda widths: {'decode_head.in_channels': widths, 'decode_head.channels': sum(widths)},
            _seg_ours,
        ),
        'det': Recipe(
            'mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
            # statistics stay as they are, as with the pretrained weights that the recipe starts from
            lambda widths: {'neck.in_channels': widths, 'backbone.norm_eval': True},
            _det_ours,
            Detector,
        ),
        'cls': Recipe(
            'mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py',
            lambda widths: {'neck.0.in_channels': widths},
            _cls_ours,
        ),
    }
)


def _config(request: Request) -> Config:
    """The recipe at the request's architecture and size."""
    recipe, widths = RECIPES[request.what], list(widths_of(request.arch))
    cfg = load_config(recipe.config)
    drop_weights(cfg.model)
    cfg.model.backbone.pop('arch', None)
    cfg.model.backbone.extra = extra_of(request.arch)
    options = {f'model.{key}': value for key, value in recipe.widen(widths).items()}
    cfg.merge_from_dict(options, allow_list_keys=True)
    if cfg.get('data_preprocessor') is not None:
        # as MMEngine's Runner does
        cfg.model.setdefault('data_preprocessor', copy.deepcopy(cfg.data_preprocessor))
    _set_heatmaps(cfg._cfg_dict, request.shape)
    random_inputs(cfg).prepare(request.shape)
    return cfg


def _set_heatmaps(node: Any, shape: Shape) -> None:
    """Let every codec expect this size of the image, at a quarter of which heatmaps are drawn."""
    for codec in _codecs(node):
        codec['input_size'] = (shape[1], shape[0])
        codec['heatmap_size'] = (shape[1] // 4, shape[0] // 4)


def _codecs(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if 'heatmap_size' in node and 'input_size' in node:
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _codecs(value)


def _swapped(request: Request, model: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = copy.deepcopy(dict(model))
    ours['backbone']['type'] = 'HRNetBackbone'
    RECIPES[request.what].ours(ours, list(widths_of(request.arch)))
    return ours


def _finished(module: nn.Module, request: Request, driver: Driver) -> nn.Module:
    """Heads as a training starts with them, a lively backbone, and statistics that fit."""
    children: list[tuple[str, Any]] = list(module.named_children())
    for name, part in children:
        if name != 'backbone' and hasattr(part, 'init_weights'):
            part.init_weights()
    enliven(getattr(module, 'backbone', module))
    module.to(request.device)
    calibrate(module, lambda: driver.checked(module, (random_images(request, calibration=True),)))
    return module


def _batch(request: Request, cfg: Config, model: Any) -> dict[str, Any]:
    """Images and annotations, through the model's own preprocessor, as every step would get them."""
    rng = np.random.default_rng(0)
    batch = random_inputs(cfg).batch(request.shape, rng=rng, count=request.batch, training=True)
    return dict(model.data_preprocessor(batch, training=True))


def _match(request: Request, peer: str) -> Match:
    """The package's model and ours."""
    recipe, cfg = RECIPES[request.what], _config(request)
    scope = str(cfg.default_scope)
    theirs, ours = (
        revert_sync_batchnorm(build(model, scope=scope))
        for model in (cfg.model, _swapped(request, cfg.model))
    )
    theirs.to(request.device)
    batch = _batch(request, cfg, theirs)
    driver = recipe.driver(batch['data_samples'])
    entrant = Entrant(peer, _finished(theirs, request, driver), driver)
    if peer == 'timm':
        labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
        entrant = _timm_classifier(peer, timms_name(request.arch), request, labels)
    copy_weights(entrant.module, ours)
    return Match(
        scope=scope,
        inputs=(batch['inputs'],),
        peer=entrant,
        ours=Entrant('ours', ours.to(request.device), driver),
        marks=tuple(_mark(name, request, batch) for name in request.marks),
    )


def _mark(name: str, request: Request, batch: Mapping[str, Any]) -> Entrant:
    labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
    return _timm_classifier(name, name, request, labels)


def _timm_classifier(name: str, timms: str, request: Request, labels: Tensor) -> Entrant:
    module = import_module('timm').create_model(timms, pretrained=False, num_classes=_CLASSES)
    driver = Classifier(labels)
    return Entrant(name, _finished(module, request, driver), driver)


MAKERS: Mapping[str, Maker] = MappingProxyType(dict.fromkeys(RECIPES, _match))
