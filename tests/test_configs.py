"""Every shipped config: reads, belongs to a scope, builds, and takes anyone's weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from hrnet_mm import HRNetBackbone
from hrnet_mm.engine import SCOPES, load_config


def _box_head(model, levels):
    """The RPN on every level, then the box head on one RoI of it; class scores come first."""
    model.rpn_head(levels)
    size = model.roi_head.bbox_roi_extractor.roi_layers[0].output_size
    return model.roi_head.bbox_head(levels[0].new_empty(1, levels[0].shape[1], *size))[0]


#: Scope -> how to run the head on the features, and how many output channels the config asks for.
HEADS = {
    'mmpose': (lambda m, x: m.head(x), lambda cfg: cfg.model.head.out_channels),
    'mmseg': (lambda m, x: m.decode_head(x), lambda cfg: cfg.model.decode_head.num_classes),
    'mmdet': (_box_head, lambda cfg: cfg.model.roi_head.bbox_head.num_classes + 1),
    'mmpretrain': (lambda m, x: m.head(x), lambda cfg: cfg.model.head.num_classes),
}
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
    with torch.no_grad():
        features = model.eval().extract_feat(torch.empty(1, 3, 64, 64, device='meta'))
        run_head, outputs = HEADS[cfg.default_scope]
        found = run_head(model, features)
    assert found.shape[1] == outputs(cfg)
