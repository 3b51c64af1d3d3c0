"""A model that cannot work is refused before logs, data or weights are touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config
from hrnet_mm.config.model_check import check_model
from hrnet_mm.swap import swap_config
from hrnet_mm.training.checks import check_runnable

pytestmark = pytest.mark.usefixtures('own_folder')

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SEG = CONFIGS / 'hrnetv2_w48_cityscapes.py'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model.backbone.arch': 'w99'}, "arch='w99': expected one of w18_small_v1"),
        ({'model.backbone.frozen_stages': 7}, 'frozen_stages=7 is out of range'),
        ({'model.backbone.arch': 'w18'}, r'4 streams of \[18, 36, 72, 144\] channels; expected in_channels='),
        ({'model.backbone.width': 'w18'}, "unexpected keyword argument 'width'"),
        ({'model.backbone.type': 'HRNetBakbone'}, "'HRNetBakbone' is registered, .* 'HRNetBackbone'"),
        ({'model.decode_head.type': 'FCNHaed'}, "'FCNHaed' is registered, the nearest is 'FCNHead'"),
        ({'model.neck.type': 'Xyzzy'}, "no type 'Xyzzy' is registered\\)"),
    ],
)
def test_bad_model_is_one_line_naming_the_mistake(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        check_model(load_config(SEG, options=options))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['hrnetv2_w48_cityscapes', 'hrnetv2p_w18_faster_rcnn_coco_1x'])
def test_good_model_passes(name: str) -> None:
    check_model(load_config(CONFIGS / f'{name}.py'))


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
    ('name', 'options', 'head', 'given'),
    [
        ('hrnetv1_w32_coco_256x192', {'model.backbone.arch': 'w18_small_v1'}, 'head', 16),
        (
            'hrnetv2_w48_cityscapes',
            {'model.decode_head.in_channels': 100, 'model.decode_head.channels': 100},
            'decode_head',
            720,
        ),
        ('hrnetv2_w48_ocr_cityscapes', {'model.decode_head.0.in_channels': 100}, 'decode_head', 720),
        ('hrnetv2p_w18_faster_rcnn_coco_1x', {'model.rpn_head.in_channels': 64}, 'rpn_head', 256),
    ],
)
def test_a_head_of_other_channels_is_refused(name: str, options: dict, head: str, given: int) -> None:
    with pytest.raises(ConfigError, match=rf'{head} is made for other channels than the \[{given}') as error:
        check_model(load_config(CONFIGS / f'{name}.py', options=options))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('train_dataloader.batch_size', 0),
        ('val_dataloader.batch_size', 1.5),
        ('train_dataloader.num_workers', -1),
    ],
)
def test_loaders_are_checked(key: str, value: float, tmp_path: Path) -> None:
    cfg = load_config(SEG, options={key: value}, work_dir=tmp_path)
    with pytest.raises(ConfigError, match=rf'{key} = {value}: expected a whole number, . or more'):
        check_runnable(cfg, command='train')


@pytest.mark.parametrize(
    ('name', 'wrong', 'right'),
    [
        ('hrnetv2_w48_cityscapes', 'max_epochs', 'max_iters'),
        ('hrnetv1_w32_coco_256x192', 'max_iters', 'max_epochs'),
    ],
)
def test_a_length_in_the_other_unit_is_refused(name: str, wrong: str, right: str, tmp_path: Path) -> None:
    cfg = load_config(CONFIGS / f'{name}.py', options={f'train_cfg.{wrong}': 2}, work_dir=tmp_path)
    with pytest.raises(ConfigError, match=rf'train_cfg.{wrong} = 2: expected {right}, which'):
        check_runnable(cfg, command='train')


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
