"""Models that HRNet cannot be put under: the part that stands in the way is named, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hrnet_mm.swap import SwapRefused, SwapRequest, swap_config
from hrnet_mm.swap.request import Necks
from hrnet_mm.swap.swapping import read_source, swapped

RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
TRACKER = 'mmdet::qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py'
FCN = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
SETR = 'mmseg::setr/setr_vit-l_naive_8xb1-80k_cityscapes-768x768.py'
UPERNET = 'mmseg::upernet/upernet_r50_4xb2-40k_cityscapes-512x1024.py'
BODY = 'mmpose::body_2d_keypoint'
HEATMAP = f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
REGRESSION = f'{BODY}/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py'
LIFTER = 'mmpose::body_3d_keypoint/image_pose_lift/h36m/image-pose-lift_tcn_8xb64-200e_h36m.py'
DWPOSE = 'mmpose::wholebody_2d_keypoint/dwpose/coco-wholebody/s1_dis/dwpose_l_dis_m_coco-256x192.py'
RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
DEIT = 'mmpretrain::deit/deit-base-distilled_16xb32_in1k-384px.py'
MAE = 'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'
MOCO = 'mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py'


@pytest.mark.parametrize(
    ('name', 'necks', 'part', 'word'),
    [
        (TRACKER, 'keep', 'model.track', 'video'),
        ('mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py', 'keep', 'model.teacher_config', 'distiller'),
        ('mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py', 'hrfpn', 'model.neck', 'different widths'),
        ('mmdet::common/ms_3x_coco.py', 'keep', 'model', 'part of other configs'),
        (RCNN, 'v2', 'model.neck', 'several strides'),
        (SETR, 'keep', 'model.decode_head', 'tokens'),
        (UPERNET, 'v2', 'model.decode_head', 'several maps'),
        (FCN, 'hrfpn', 'model.decode_head', 'one map'),
        (LIFTER, 'keep', 'model.backbone', 'reads no image'),
        (DWPOSE, 'keep', 'model.teacher_cfg', 'distiller'),
        (REGRESSION, 'v2', 'model.neck', 'pooled'),
        (f'{BODY}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 'v2', 'model.head', 'coarser'),
        (DEIT, 'keep', 'model.head', 'distillation token'),
        (MAE, 'keep', 'model.head', 'pretraining'),
        (MOCO, 'keep', 'model.queue_len', 'queue'),
        ('mmpretrain::clip/vit-large-p14_headless.py', 'keep', 'model.head', 'none'),
        (RESNET, 'hrfpn', 'model.neck', 'no pyramid'),
    ],
)
def test_refusals_name_the_part_and_write_nothing(
    name: str, necks: Necks, part: str, word: str, tmp_path: Path
) -> None:
    with pytest.raises(SwapRefused) as caught:
        swap_config(name, arch='w18', necks=necks, out=tmp_path / 'heir.py', proof=False)
    assert caught.value.part.startswith(part)
    assert word in caught.value.reason
    assert str(caught.value) == f'{caught.value.part}: {caught.value.reason}'
    assert '\n' not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_head_nobody_knows_is_refused() -> None:
    source = read_source(HEATMAP)
    source.cfg.model.head.type = 'SomebodysHead'
    with pytest.raises(SwapRefused, match=r'model\.head: SomebodysHead'):
        swapped(source, SwapRequest(arch='w18'))


def test_a_model_that_never_ran_is_told_from_one_that_hrnet_broke(tmp_path: Path) -> None:
    mine = tmp_path / 'mine.py'
    mine.write_text(f'_base_ = {RCNN!r}\nmodel = dict(neck=dict(extra_convs=3))\n')
    with pytest.raises(SwapRefused, match='does not run here even with its own backbone'):
        swap_config(mine, arch='w32', out=tmp_path / 'heir.py', proof=False)
    assert list(tmp_path.iterdir()) == [mine]
