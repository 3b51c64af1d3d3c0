"""Configs by path and by package."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from refusal import refuses

from hrnet_mm.config.files import find_config, shipped_configs_folder
from hrnet_mm.config.load import load_config

pytestmark = pytest.mark.usefixtures('own_folder')

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.mark.parametrize(
    'name',
    [
        'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py',
        'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    ],
)
def test_a_config_of_a_package_is_what_mmengine_finds(name: str) -> None:
    cfg = load_config(name)
    assert cfg.work_dir == f'./work_dirs/{find_config(name).stem}'
    assert cfg.model == get_config(name).model


def test_our_own_configs_have_names_too() -> None:
    cfg = load_config('hrnet_mm::hrnetv1_w32_coco_256x192.py')
    assert cfg.model == Config.fromfile(CONFIGS / 'hrnetv1_w32_coco_256x192.py').model


def test_a_path_stays_a_path() -> None:
    Path('mine.py').write_text('')
    assert find_config('mine.py') == Path('mine.py')


def test_a_misspelt_name_gets_the_nearest() -> None:
    refuses(
        lambda: find_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_cocoo.py'),
        "config = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_cocoo.py'",
        'nearest is mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    )


def test_an_unknown_package() -> None:
    refuses(lambda: find_config('torch::x.py'), "config = 'torch::'", 'one of mmpose, mmseg, mmdet')


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('hrnet_mm.config.files.find_spec', lambda name: None)
    refuses(lambda: shipped_configs_folder('mmseg'), "config = 'mmseg::'", "pip install 'hrnet_mm[seg]'")
