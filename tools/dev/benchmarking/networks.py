"""A peer's network and ours with the same random weights, ready to meet on the same inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch import Tensor, nn

from hrnet_mm.checkpoints import Checkpoint, load_weights
from hrnet_mm.config.build import build_module
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.load import load_config
from hrnet_mm.models.arch import NAMED_ARCHS
from hrnet_mm.swap.backbones import drop_weights
from hrnet_mm.swap.inputs import random_inputs
from hrnet_mm.utils import iter_dicts, quiet

from .drivers import Driver, WholeModel
from .random_weights import calibrate, randomize
from .request import Request

_CLASSES = 1000  # ImageNet's
_CALIBRATION_SHAPE = (2, 3, 128, 128)


@dataclass(frozen=True)
class Network:
    """A network before anything is done to speed it up: ``ours``, a peer's or a mark's."""

    name: str
    module: nn.Module
    driver: Driver


@dataclass(frozen=True)
class Match:
    """Ours against one peer with the same weights, and perhaps a mark with its own.

    Attributes:
        scope: MMEngine's scope while the match lasts.
        inputs: Of all of them, float32.
    """

    scope: str
    inputs: tuple[Tensor, ...]
    peer: Network
    ours: Network
    mark: Network | None = None

    @property
    def networks(self) -> list[Network]:
        """All of them, the peer first."""
        return [network for network in (self.peer, self.ours, self.mark) if network]

    def truth_of(self, name: str) -> Network:
        """The network whose outputs another's must equal: that with the same weights."""
        return self.mark if self.mark and self.mark.name == name else self.peer


def make_match(request: Request, peer: str) -> Match:
    """Build both sides, on the request's device, with random weights that never change."""
    makers = {'backbone': _backbones, 'hrfpn': _necks, 'v2': _necks}
    scope = 'mmpretrain' if peer == 'timm' else peer  # whose defaults are timm's
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        return makers.get(request.what, _whole_models)(request, peer, scope)


def extra_of(arch: str) -> dict[str, Any]:
    """An architecture as the peers spell it."""
    return {
        f'stage{number}': {
            'num_modules': stage.modules,
            'num_branches': len(stage.channels),
            'block': stage.block,
            'num_blocks': stage.blocks,
            'num_channels': stage.channels,
        }
        for number, stage in enumerate(NAMED_ARCHS[arch], start=1)
    }


def timm_arguments(arch: str) -> dict[str, Any]:
    """What makes timm's network up to the streams."""
    name = {'w18_small_v1': 'hrnet_w18_small'}.get(arch, f'hrnet_{arch}')
    how = {'features_only': True, 'feature_location': '', 'out_indices': (1, 2, 3, 4)}
    return {'model_name': name, 'pretrained': False, **how}


def _widths(arch: str) -> list[int]:
    return list(NAMED_ARCHS[arch][-1].out_channels)


def _images(request: Request, shape: Sequence[int] | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape or (request.batch, 3, *request.shape), generator=generator).to(request.device)


def _backbones(request: Request, peer: str, scope: str) -> Match:
    """HRNet of a package or of timm, and ours with the same defaults."""
    # as with pretrained weights, with which all training starts
    norm_eval = CODEBASES[scope].backbone.norm_eval
    if peer == 'timm':
        theirs: nn.Module = import_module('timm').create_model(**timm_arguments(request.arch))
    else:
        settings = {'type': 'HRNet', 'extra': extra_of(request.arch), 'norm_eval': norm_eval}
        theirs = build_module(settings, scope=scope)
    settings = {'type': 'HRNetBackbone', 'arch': request.arch, 'norm_eval': norm_eval}
    ours = build_module(settings, scope=scope).to(request.device)
    randomize(theirs.to(request.device))
    calibrate(theirs, lambda: theirs(_images(request, _CALIBRATION_SHAPE)))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    driver = Driver()
    return Match(scope, (_images(request),), Network(peer, theirs, driver), Network('ours', ours, driver))


def _necks(request: Request, peer: str, scope: str) -> Match:
    """What stands on the backbone in a recipe, and ours, on streams that ask for a gradient in training."""
    cfg = _config(request)
    swapped = _swapped(cfg, request)
    if request.what == 'hrfpn':
        theirs, ours = (build_module(model.neck, scope=scope) for model in (cfg.model, swapped))
    else:
        theirs = revert_sync_batchnorm(build_module(cfg.model.decode_head, scope=scope))
        parts = (build_module(swapped[part], scope=scope) for part in ('neck', 'decode_head'))
        ours = revert_sync_batchnorm(nn.Sequential(*parts))
    streams = []
    height, width = request.shape
    for level, channels in enumerate(_widths(request.arch)):
        generator = torch.Generator().manual_seed(level)
        x = torch.randn(request.batch, channels, height, width, generator=generator).relu_()
        streams.append(x.to(request.device).requires_grad_(request.mode == 'train'))
        height, width = -(-height // 2), -(-width // 2)
    randomize(theirs.to(request.device))
    calibrate(theirs, lambda: theirs(streams))
    names = {'convs.0.': '0.mix.', 'conv_seg.': '1.conv_seg.'}
    state = {_renamed(key, names): value for key, value in theirs.state_dict().items()}
    ours.to(request.device).load_state_dict(state, strict=True)
    driver = Driver()
    return Match(scope, tuple(streams), Network(peer, theirs, driver), Network('ours', ours, driver))


def _renamed(key: str, names: Mapping[str, str]) -> str:
    return next((new + key.removeprefix(old) for old, new in names.items() if key.startswith(old)), key)


def _seg_ours(model: Mapping[str, Any], widths: list[int]) -> dict[str, Any]:
    """The concatenation and its mix move from the head into a neck."""
    head = model['decode_head']
    shared = {key: head[key] for key in ('align_corners', 'norm_cfg')}
    return {
        'neck': {'type': 'HRNetV2Neck', 'in_channels': widths, 'conv_bias': False, **shared},
        'decode_head': {'in_channels': sum(widths), 'in_index': 0, 'num_convs': 0, 'input_transform': None},
    }


@dataclass(frozen=True)
class Recipe:
    """A package's own config of one kind.

    Attributes:
        config: Its name.
        widen: The model's options that follow from the streams' channels.
        ours: What to put over the model's config, beside the backbone.
        driver: How its models are used.
    """

    config: str
    widen: Callable[[list[int]], dict[str, Any]]
    ours: Callable[[Mapping[str, Any], list[int]], dict[str, Any]]
    driver: Mapping[str, bool]


RECIPES: Final[Mapping[str, Recipe]] = {
    'pose': Recipe(
        'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
        lambda widths: {'head.in_channels': widths[0]},
        lambda model, widths: {},  # nothing but the one word
        {'float_heads': True},
    ),
    'seg': Recipe(
        'mmseg::hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py',
        lambda widths: {'decode_head.in_channels': widths, 'decode_head.channels': sum(widths)},
        _seg_ours,
        {},
    ),
    'det': Recipe(
        'mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py',
        # statistics stay as they are, as with the pretrained weights that the recipe starts from
        lambda widths: {'neck.in_channels': widths, 'backbone.norm_eval': True},
        lambda model, widths: {'neck': {'type': 'hrnet_mm.HRFPN'}},
        {'float_heads': True, 'two_stage': True},
    ),
    'cls': Recipe(
        'mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py',
        lambda widths: {'neck.0.in_channels': widths},
        lambda model, widths: {
            'neck': [{'type': 'HRNetClassificationNeck', 'in_channels': widths}, *model['neck'][1:]]
        },
        {},
    ),
}


def _recipe(request: Request) -> Recipe:
    return RECIPES[{'hrfpn': 'det', 'v2': 'seg'}.get(request.what, request.what)]


def _whole_models(request: Request, peer: str, scope: str) -> Match:
    """A package's recipe, or timm's classifier, and ours in its place."""
    cfg = _config(request)
    inputs = random_inputs(cfg)
    inputs.prepare(request.shape)
    theirs = revert_sync_batchnorm(build_module(cfg.model, scope=scope)).to(request.device)
    ours = revert_sync_batchnorm(build_module(_swapped(cfg, request), scope=scope)).to(request.device)
    rng = np.random.default_rng(0)
    drawn = inputs.batch(request.shape, rng=rng, count=request.batch, training=True)
    batch = theirs.data_preprocessor(drawn, training=True)
    driver = WholeModel(batch['data_samples'], **RECIPES[request.what].driver)
    network, mark = Network(peer, theirs, driver), request.kind.mark
    if peer == 'timm':
        network = _timm_classifier(peer, timm_arguments(request.arch)['model_name'], request)
    marks = [_timm_classifier(mark, mark, request)] if mark in request.forms else []
    for each in (network, *marks):
        _initialize(each, request)
    _copy_weights(network.module, ours)
    return Match(scope, (batch['inputs'],), network, Network('ours', ours, driver), *marks)


def _config(request: Request) -> Config:
    """The recipe at the request's architecture and size."""
    recipe = _recipe(request)
    cfg = load_config(recipe.config)
    drop_weights(cfg.model)
    cfg.model.backbone.pop('arch', None)
    cfg.model.backbone.extra = extra_of(request.arch)
    widened = {f'model.{key}': value for key, value in recipe.widen(_widths(request.arch)).items()}
    cfg.merge_from_dict(widened, allow_list_keys=True)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)  # as MMEngine's Runner does
    height, width = request.shape
    for _, codec in iter_dicts(cfg._cfg_dict):
        if 'heatmap_size' in codec and 'input_size' in codec:
            codec.update(input_size=(width, height), heatmap_size=(width // 4, height // 4))
    return cfg


def _swapped(cfg: Config, request: Request) -> Any:
    """The recipe's model on our backbone."""
    swapped = Config({'model': copy.deepcopy(cfg.model)})
    swapped.model.backbone.type = 'HRNetBackbone'
    put_over = _recipe(request).ours(cfg.model, _widths(request.arch))
    swapped.merge_from_dict({'model': put_over})
    return swapped.model


def _timm_classifier(name: str, model: str, request: Request) -> Network:
    module = import_module('timm').create_model(model, pretrained=False, num_classes=_CLASSES)
    return Network(name, module.to(request.device), Driver(steps=True))


def _initialize(network: Network, request: Request) -> None:
    """Heads as a training starts with them, a random backbone, and statistics that fit."""
    children: list[tuple[str, Any]] = list(network.module.named_children())
    for name, part in children:
        if name != 'backbone' and hasattr(part, 'init_weights'):
            part.init_weights()
    randomize(getattr(network.module, 'backbone', network.module))
    images = (_images(request, _CALIBRATION_SHAPE),)
    calibrate(network.module, lambda: network.driver.checked(network.module, images))


def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Weights of one layout into a model of another."""
    found = Checkpoint(source=type(source).__name__, state=dict(source.state_dict()), meta={}, left=())
    report = load_weights(target, found)
    if report.missing or report.unexpected or report.other_shape:
        raise RuntimeError(f'weights do not fit: {report}')
