"""What cannot work is refused before logs, data or weights are touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import MODELS
from own_configs import read_config
from refusal import refuses
from torch import nn

from hrnet_mm.config.build import build_model
from hrnet_mm.config.load import load_config
from hrnet_mm.config.model_check import check_model
from hrnet_mm.swap import swap_config
from hrnet_mm.training.checks import check_runnable

pytestmark = pytest.mark.usefixtures('own_folder')

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SEG = CONFIGS / 'hrnetv2_w48_cityscapes.py'
POSE = CONFIGS / 'hrnetv1_w32_coco_256x192.py'
DET = CONFIGS / 'hrnetv2p_w18_faster_rcnn_coco_1x.py'


def head_of(name: str, channels: int) -> str:
    return f'{name} is made for other channels than the [{channels}'


@pytest.mark.parametrize(
    ('config', 'options', 'message'),
    [
        (SEG, {'model.backbone.arch': 'w99'}, "arch='w99': expected one of w18_small_v1"),
        (
            SEG,
            {'model.backbone.arch': 'w18'},
            'streams of [18, 36, 72, 144] channels; expected in_channels=',
        ),
        (SEG, {'model.backbone.width': 'w18'}, "unexpected keyword argument 'width'"),
        (SEG, {'model.backbone.type': 'HRNetBakbone'}, "registered, the nearest is 'HRNetBackbone'"),
        (SEG, {'model.decode_head.type': 'FCNHaed'}, "'FCNHaed' is registered, the nearest is 'FCNHead'"),
        (SEG, {'model.neck.type': 'Xyzzy'}, "no type 'Xyzzy' is registered)"),
        (POSE, {'model.backbone.arch': 'w18_small_v1'}, head_of('head', 16)),
        (SEG, {f'model.decode_head.{key}channels': 100 for key in ('', 'in_')}, head_of('decode_head', 720)),
        (DET, {'model.rpn_head.in_channels': 64}, head_of('rpn_head', 256)),
        (
            CONFIGS / 'hrnetv2_w48_ocr_cityscapes.py',
            {'model.decode_head.0.in_channels': 100},
            head_of('decode_head', 720),
        ),
    ],
)
def test_bad_model_is_one_line_naming_the_mistake(config: Path, options: Any, message: str) -> None:
    refuses(lambda: check_model(load_config(config, options=options)), 'model = ', message)


def test_a_bug_in_a_neck_of_the_users_own_is_raised_as_it_is() -> None:
    @MODELS.register_module(force=True)
    class OwnNeck(nn.Module):
        def __init__(self, broken: bool = True, **_: Any) -> None:
            super().__init__()
            if broken:
                raise KeyError('mine')

        def forward(self, features: Any) -> Any:
            return features[4]

    options = {'model.neck.type': 'OwnNeck'}
    for check in (check_model, build_model):
        with pytest.raises(KeyError, match='mine'):
            check(load_config(SEG, options=options))
    with pytest.raises(IndexError):
        check_model(load_config(SEG, options={**options, 'model.neck.broken': False}))


@pytest.mark.parametrize('config', [SEG, DET])
def test_good_model_passes(config: Path) -> None:
    check_model(read_config(config))


def test_the_model_is_built_again_after_the_check(tmp_path: Path) -> None:
    """The one-word swap of README, in a config whose segmentor names the pretrained weights."""
    file = tmp_path / 'swapped.py'
    file.write_text(
        "_base_ = 'mmseg::hrnet/fcn_hr48_4xb2-160k_cityscapes-512x1024.py'\n"
        "custom_imports = dict(imports=['hrnet_mm'])\n"
        "model = dict(backbone=dict(type='HRNetBackbone'))\n"
    )
    cfg = load_config(file)
    assert cfg.model.pretrained is not None
    before = cfg.to_dict()
    for _ in range(2):
        check_model(cfg)
        assert cfg.to_dict() == before


@pytest.mark.parametrize(
    'name',
    [
        'fpg/faster-rcnn_r50_fpg_crop640-50e_coco.py',  # its pyramid refuses small images
        'carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',  # an operator that knows no meta device
    ],
)
def test_necks_that_cannot_be_tried_on_few_pixels_or_without_numbers(name: str) -> None:
    check_model(swap_config(f'mmdet::{name}', arch='w18_small_v1', proof=False).cfg)


@pytest.mark.parametrize(
    ('config', 'key', 'value', 'expected'),
    [
        (SEG, 'train_dataloader.batch_size', 0, 'a whole number, 1 or more'),
        (SEG, 'val_dataloader.batch_size', 1.5, 'a whole number, 1 or more'),
        (SEG, 'train_dataloader.num_workers', -1, 'a whole number, 0 or more'),
        (SEG, 'train_cfg.max_epochs', 2, 'max_iters, which IterBasedTrainLoop counts'),
        (POSE, 'train_cfg.max_iters', 2, 'max_epochs, which EpochBasedTrainLoop counts'),
        (SEG, 'train_cfg.max_iters', 0, 'a positive whole number'),
        (SEG, 'train_cfg.max_iters', 2.5, 'a positive whole number'),
    ],
)
def test_numbers_are_checked(config: Path, key: str, value: float, expected: str) -> None:
    cfg = load_config(config, options={key: value})
    refuses(lambda: check_runnable(cfg, command='train'), f'{key} = {value}: expected {expected}')
