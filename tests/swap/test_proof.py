"""The proof passes on the packages' own models as they are shipped, and fails on models that are wrong."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from swaps import with_hrnet

from hrnet_mm.swap.proof import ProofFailed, prove
from hrnet_mm.swap.swapping import read_source

#: Shipped models with their own backbones, small ones of different families.
QUICK = (
    'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
    'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_shufflenetv2_8xb64-210e_coco-256x192.py',
    'mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
)
OTHERS = (
    'mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py',
    'mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py',
    'mmseg::point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py',
    'mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py',
    'mmpose::body_2d_keypoint/topdown_regression/coco/td-reg_res50_rle-8xb64-210e_coco-256x192.py',
    'mmpose::body_2d_keypoint/rtmo/body7/rtmo-s_8xb32-600e_body7-640x640.py',
    'mmpose::hand_3d_keypoint/internet/interhand3d/internet_res50_4xb16-20e_interhand3d-256x256.py',
    'mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py',
)
DETECTOR = QUICK[0]
SEGMENTOR = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
POSE = 'mmpose::body_2d_keypoint/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py'
CLASSIFIER = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'


@pytest.mark.parametrize(
    'name', [*QUICK, *(pytest.param(name, marks=pytest.mark.nightly) for name in OTHERS)]
)
def test_shipped_models_are_proven(name: str):
    prove(read_source(name).cfg)


#: A shipped config, what is written into its swapped model, and the steps that may find out.
WRONG: list[tuple[str, dict[str, Any], set[str]]] = [
    (DETECTOR, {'bbox_head.anchor_generator.strides': [4, 8, 16, 32, 64]}, {'strides'}),
    (DETECTOR, {'neck.num_outs': 4}, {'strides'}),
    # nothing reads the stream at stride 4, whose last weights get no gradient
    (
        DETECTOR,
        {
            'backbone.out_indices': (0, 1, 2, 3),
            'neck.in_channels': [16, 32, 64, 128],
            'neck.start_level': 1,
        },
        {'backward'},
    ),
    (SEGMENTOR, {'decode_head.in_index': 0, 'decode_head.input_transform': None}, {'build', 'loss'}),
    (POSE, {'head.decoder.simcc_split_ratio': 3.0, 'head.simcc_split_ratio': 3.0}, {'loss'}),
    (CLASSIFIER, {'head.in_channels': 2049}, {'loss'}),
    (CLASSIFIER, {'head.loss.loss_weight': float('inf')}, {'loss'}),
]


@pytest.mark.parametrize(('name', 'changes', 'steps'), WRONG)
def test_wrong_models_fail_at_their_step(name: str, changes: dict[str, Any], steps: set[str]):
    cfg = with_hrnet(name)
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    with pytest.raises(ProofFailed) as caught:
        prove(cfg)
    assert caught.value.step in steps
    assert '\n' not in str(caught.value)


def test_a_proof_changes_neither_the_config_nor_the_random_numbers():
    cfg = with_hrnet(CLASSIFIER)
    before = copy.deepcopy(cfg)
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    wanted = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    prove(cfg)
    assert (torch.rand(1), np.random.rand(), random.random()) == wanted
    assert cfg.to_dict() == before.to_dict()


def test_a_model_that_broke_earlier_with_its_own_backbone_is_no_fault_of_the_swap() -> None:
    loss, predict = ProofFailed('loss', 'nan'), ProofFailed('predict', 'no such attribute')
    assert loss.no_later_than(predict)
    assert predict.no_later_than(predict)
    assert not predict.no_later_than(loss)
