"""Every shipped config: reads, belongs to a scope, builds, and takes anyone's weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from hrnet_mm import HRNetBackbone
from hrnet_mm.engine import SCOPES, load_config

CONFIGS = sorted((Path(__file__).resolve().parents[1] / 'configs').glob('*.py'))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def cfg(request: pytest.FixtureRequest):
    return load_config(request.param)


def test_config_imports_us_and_takes_weights_of_every_publisher(cfg) -> None:
    assert cfg.default_scope in SCOPES
    assert cfg.custom_imports['imports'] == ['hrnet_mm']
    assert cfg.default_hooks['weights']['type'] == 'HRNetWeightsHook'


def test_config_builds_and_its_head_fits_the_backbone(cfg) -> None:
    import_module(f'{cfg.default_scope}.models')
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert isinstance(model.backbone, HRNetBackbone)
    image = torch.empty(1, 3, 64, 64, device='meta')
    features = model.eval().extract_feat(image)
    assert all(x.shape[0] == 1 for x in (features if isinstance(features, tuple | list) else [features]))
