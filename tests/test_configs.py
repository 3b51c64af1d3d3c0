"""Every shipped config: reads, belongs to a scope, builds, and takes anyone's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from own_configs import CONFIGS, JOINT_CONFIGS, RELATIVES, read_config
from torch import Tensor, nn

from hrnet_mm import DeconvNet, HRNetBackbone, MultiTaskModel, SegNet
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.joint import task_configs
from hrnet_mm.config.model_check import check_model

#: What a head's config calls the number of its first output's channels; the first that it has counts.
CHANNELS = ('out_channels', 'num_keypoints', 'num_classes')


def _modules(part: Any) -> list[Any]:
    """The stages of a cascaded part, or the part alone, or nothing."""
    if part is None:
        return []
    return list(part) if isinstance(part, (nn.ModuleList, Sequence)) else [part]


def _first_tensor(output: Any) -> Tensor:
    while not isinstance(output, Tensor):
        output = output[0]
    return output


def _check_whole_model(model: Any, cfg: Config, image: Tensor) -> None:
    """Models that run from image to output: the channels that the head's config asks for come out."""
    found = _first_tensor(model(image, None, mode='tensor'))
    heads = next(cfg.model[name] for name in ('decode_head', 'bbox_head', 'head') if name in cfg.model)
    head = _modules(heads)[-1]
    assert found.shape[1] == next(head[name] for name in CHANNELS if name in head)


def _check_two_stages(model: Any, cfg: Config, image: Tensor) -> None:
    """Detectors that need RoIs: the RPN on every level, then every head of every stage on one RoI."""
    levels = model.extract_feat(image)
    model.rpn_head(levels)
    # boxes have one class more, the background
    for part, more in (('bbox', 1), ('mask', 0)):
        heads = _modules(getattr(model.roi_head, f'{part}_head', None))
        extractors = _modules(getattr(model.roi_head, f'{part}_roi_extractor', None))
        # masks may share the boxes' extractor
        extractors = extractors or _modules(model.roi_head.bbox_roi_extractor)
        for stage, head in enumerate(heads):
            extractor = extractors[min(stage, len(extractors) - 1)]
            assert extractor.out_channels == levels[0].shape[1]
            side = extractor.roi_layers[0].output_size
            found = _first_tensor(head(levels[0].new_empty(1, extractor.out_channels, *side)))
            assert found.shape[1] == head.num_classes + more
    if getattr(model.roi_head, 'semantic_head', None) is not None:
        model.roi_head.semantic_head(levels)


@pytest.fixture(params=[*CONFIGS, *RELATIVES], ids=lambda path: path.stem)
def cfg(request: pytest.FixtureRequest) -> Iterator[Config]:
    config = read_config(request.param)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        yield config


def test_config_imports_us_and_guards_its_runs(cfg: Config) -> None:
    assert cfg.default_scope in CODEBASES
    assert cfg.custom_imports['imports'][0] == 'hrnet_mm'
    expected = {
        'guard': 'hrnet_mm.RunGuardHook',
        'weights': 'hrnet_mm.HRNetWeightsHook',
        'finite': 'hrnet_mm.FiniteLossHook',
        'resume': 'hrnet_mm.ExactResumeHook',
        'checkpoint': 'hrnet_mm.WholeCheckpointHook',
    }
    assert {name: cfg.default_hooks[name]['type'] for name in expected} == expected


@pytest.mark.parametrize('path', JOINT_CONFIGS, ids=lambda path: path.stem)
def test_tasks_of_a_joint_config_fit_its_backbone(path: Path) -> None:
    cfg = read_config(path)
    assert cfg.default_hooks['guard']['type'] == 'hrnet_mm.RunGuardHook'
    assert isinstance(check_model(cfg), MultiTaskModel)
    views = task_configs(cfg)
    assert len(views) == 3
    for name, view in views.items():
        assert check_model(view) is not None
        loaders = [view[f'{stage}_dataloader'] for stage in ('train', 'val', 'test')]
        assert all(loader.dataset for loader in loaders), name


def test_config_builds_and_its_head_fits_the_backbone(cfg: Config) -> None:
    import_module(f'{cfg.default_scope}.models')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert isinstance(model.backbone, HRNetBackbone | SegNet | DeconvNet)
    # mmpose's models return nothing from train() and eval()
    model.eval()
    check = _check_two_stages if hasattr(model, 'roi_head') else _check_whole_model
    with torch.no_grad():
        check(model, cfg, torch.empty(1, 3, 224, 224, device='meta'))
