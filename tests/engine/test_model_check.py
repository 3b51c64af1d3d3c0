"""A model that cannot work is refused before logs, data or weights are touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrnet_mm.engine import ConfigError, check_runnable, load_config
from hrnet_mm.engine.model_check import check_model
from hrnet_mm.swap import swap_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SEG = CONFIGS / 'hrnetv2_w48_cityscapes.py'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model.backbone.arch': 'w99'}, "arch='w99' is unknown; expected one of w18_small_v1"),
        ({'model.backbone.frozen_stages': 7}, 'frozen_stages=7 is out of range'),
        ({'model.backbone.arch': 'w18'}, r'4 streams of \[18, 36, 72, 144\] channels; expected in_channels='),
        ({'model.backbone.archh': 'w18'}, "unexpected keyword argument 'archh'"),
        ({'model.backbone.type': 'HRNetBakbone'}, 'HRNetBakbone is not in'),
    ],
)
def test_bad_model_is_one_line_naming_the_mistake(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        check_model(load_config(SEG, options=options))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['hrnetv2_w48_cityscapes', 'hrnetv2p_w18_faster_rcnn_coco_1x'])
def test_good_model_passes(name: str) -> None:
    check_model(load_config(CONFIGS / f'{name}.py'))


@pytest.mark.parametrize('value', [-3, 0, 2.5])
def test_length_of_training_is_checked(value: float, tmp_path: Path) -> None:
    cfg = load_config(SEG, options={'train_cfg.max_iters': value}, work_dir=tmp_path)
    with pytest.raises(ConfigError, match=rf'train_cfg.max_iters = {value}: expected a positive'):
        check_runnable(cfg, command='train')


@pytest.mark.parametrize(
    'name',
    [
        'fpg/faster-rcnn_r50_fpg_crop640-50e_coco.py',  # its pyramid refuses small images
        'carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',  # an operator that knows no meta device
    ],
)
def test_necks_that_cannot_be_tried_on_few_pixels_or_without_numbers(name: str) -> None:
    check_model(swap_config(f'mmdet::{name}', arch='w18_small_v1', proof=False).cfg)
