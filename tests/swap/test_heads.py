"""What heads of pose estimators and classifiers read of HRNet: the stream of their stride, or all streams."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from swaps import with_hrnet

BODY = 'mmpose::body_2d_keypoint'
HEATMAP = f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
WFLW = 'mmpose::face_2d_keypoint/topdown_heatmap/wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py'
RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
VIT = 'mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py'
C = 16  # channels of w18_small_v1's finest stream


def features_of(cfg: Config, *, channels: int = 3, scores: bool = False) -> list[tuple[int, ...]]:
    """Shapes of what backbone and neck hand to the head for an image of 64 by 96, or of the head's scores."""
    model = {key: value for key, value in cfg.model.items() if key != 'init_cfg'}
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
        built: Any = MODELS.build(model).eval()
        features = built.extract_feat(torch.rand(1, channels, 64, 96))
        return [tuple(x.shape) for x in ([built.head(features)] if scores else features)]


@pytest.mark.parametrize(
    ('name', 'channels', 'stride'),
    [
        (HEATMAP, C, 4),
        (f'{BODY}/topdown_heatmap/jhmdb/td-hm_res50-2deconv_8xb64-40e_jhmdb-sub1-256x256.py', 2 * C, 8),
        (f'{BODY}/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py', 8 * C, 32),
        (f'{BODY}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 8 * C, 32),
    ],
)
def test_a_pose_head_reads_the_stream_of_its_stride(name: str, channels: int, stride: int):
    cfg = with_hrnet(name)
    cfg.model.neck = None  # pooling would hide the stride
    assert cfg.model.head.in_channels == channels
    assert features_of(cfg) == [(1, channels, 64 // stride, 96 // stride)]


def test_coordinate_classes_keep_the_size_they_are_read_from():
    """Three deconvolutions from stride 32 end at stride 4, where HRNet already is."""
    head = with_hrnet(f'{BODY}/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py').model.head
    assert (head.in_channels, tuple(head.in_featuremap_size)) == (C, (48, 64))
    assert head.deconv_out_channels is None


def test_integrals_start_as_small_as_their_deconvolutions_did():
    """Large scores under a softmax of ten times their size would make the first gradient NaN."""
    cfg = with_hrnet(f'{BODY}/integral_regression/coco/ipr_res50_debias-8xb64-210e_coco-256x256.py')
    with DefaultScope.overwrite_default_scope('mmpose'):
        head = MODELS.build(cfg.model.head)
        head.init_weights()
    assert float(head.final_layer.weight.detach().abs().max()) < 0.01


def test_heatmaps_of_a_backbone_without_borders_grow():
    cfg = with_hrnet(f'{BODY}/topdown_heatmap/coco/td-hm_alexnet_8xb64-210e_coco-256x192.py')
    target = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'GenerateTarget')
    sizes = [cfg.codec.heatmap_size, cfg.model.head.decoder.heatmap_size, target.encoder.heatmap_size]
    assert sizes == [(48, 64)] * 3


def test_pyramids_read_strides_8_to_32():
    cfg = with_hrnet(f'{BODY}/rtmo/body7/rtmo-s_8xb32-600e_body7-640x640.py')
    assert cfg.model.neck.in_channels == [32, 64, 128]
    assert tuple(cfg.model.backbone.out_indices) == (1, 2, 3)


def test_all_streams_are_joined_where_they_were_before():
    cfg = with_hrnet(WFLW)
    assert cfg.model.neck == dict(type='FeatureMapProcessor', concat=True)
    assert cfg.model.head.in_channels == 15 * C
    assert tuple(cfg.model.head.conv_out_channels) == (15 * C,)
    assert features_of(cfg) == [(1, 15 * C, 16, 24)]


def test_v2_joins_all_streams():
    assert features_of(with_hrnet(HEATMAP, necks='v2')) == [(1, 15 * C, 16, 24)]
    cfg = with_hrnet(RESNET, necks='v2')
    assert [neck.type for neck in cfg.model.neck] == ['HRNetV2Neck', 'GlobalAveragePooling']
    assert features_of(cfg) == [(1, 15 * C)]


def test_layer_wise_decay_goes_and_the_rescorer_stays():
    vit = with_hrnet(f'{BODY}/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192.py', arch='w32')
    assert vit.optim_wrapper.constructor == 'DefaultOptimWrapperConstructor'
    assert 'layer_decay_rate' not in vit.optim_wrapper.paramwise_cfg
    assert 'hrnetv2_w32' in vit.model.backbone.init_cfg.checkpoint
    dekr = with_hrnet(f'{BODY}/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512.py')
    assert 'kpt_rescore' in dekr.model.head.rescore_cfg.init_cfg.checkpoint


@pytest.mark.parametrize(
    ('name', 'classes', 'head'),
    [
        (RESNET, 1000, 'LinearClsHead'),
        ('mmpretrain::vgg/vgg16_8xb16_voc.py', 20, 'MultiLabelLinearClsHead'),
        (VIT, 1000, 'VisionTransformerClsHead'),
        ('mmpretrain::mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py', 1000, 'StackedLinearClsHead'),
    ],
)
def test_classifiers_give_their_scores(name: str, classes: int, head: str):
    cfg = with_hrnet(name)
    assert [neck.type for neck in cfg.model.neck] == ['HRNetClassificationNeck', 'GlobalAveragePooling']
    assert (cfg.model.head.type, cfg.model.head.in_channels) == (head, 2048)
    assert features_of(cfg, scores=True) == [(1, classes)]


def test_grey_images_stay_grey():
    cfg = with_hrnet('mmpretrain::lenet/lenet5_mnist.py')
    assert cfg.model.backbone.in_channels == 1
    assert features_of(cfg, channels=1, scores=True) == [(1, 10)]


def test_classification_parts_that_stay():
    hrnet = with_hrnet('mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py', arch='w18_small_v2').model
    assert [neck.type for neck in hrnet.neck] == ['HRFuseScales', 'GlobalAveragePooling']
    assert tuple(hrnet.neck[0].in_channels) == (18, 36, 72, 144)
    probing = with_hrnet('mmpretrain::mae/benchmarks/vit-base-p16_8xb2048-linear-coslr-90e_in1k.py')
    assert probing.model.neck[-1] == dict(type='ClsBatchNormNeck', input_features=2048)


def test_heads_that_learn_from_a_teacher_learn_from_labels():
    cfg = with_hrnet('mmpretrain::levit/deploy/levit-128s_8xb256_in1k.py')
    assert cfg.model.head.distillation is False
    assert features_of(cfg, scores=True) == [(1, 1000)]
