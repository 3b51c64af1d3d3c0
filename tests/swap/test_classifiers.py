"""HRNet under mmpretrain's heads: one pooled map of all streams."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from swaps import with_hrnet

RESNET = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'


def scores_of(cfg: Config, *, channels: int = 3) -> tuple[int, ...]:
    """Shape of the scores of one image."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.no_grad():
        model = MODELS.build(cfg.model.to_dict()).eval()
        return tuple(model.head(model.extract_feat(torch.rand(1, channels, 32, 32))).shape)


@pytest.mark.parametrize(
    ('name', 'classes', 'head'),
    [
        (RESNET, 1000, 'LinearClsHead'),
        ('mmpretrain::resnet/resnet18_8xb16_cifar10.py', 10, 'LinearClsHead'),
        ('mmpretrain::vgg/vgg11_8xb32_in1k.py', 1000, 'LinearClsHead'),
        ('mmpretrain::vgg/vgg16_8xb16_voc.py', 20, 'MultiLabelLinearClsHead'),
        ('mmpretrain::vision_transformer/vit-base-p16_32xb128-mae_in1k.py', 1000, 'VisionTransformerClsHead'),
        ('mmpretrain::mlp_mixer/mlp-mixer-base-p16_64xb64_in1k.py', 1000, 'LinearClsHead'),
        ('mmpretrain::mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py', 1000, 'StackedLinearClsHead'),
    ],
)
def test_heads_give_their_scores(name: str, classes: int, head: str):
    cfg = with_hrnet(name)
    assert [neck.type for neck in cfg.model.neck] == ['HRNetClassificationNeck', 'GlobalAveragePooling']
    assert (cfg.model.head.type, cfg.model.head.in_channels) == (head, 2048)
    assert scores_of(cfg) == (1, classes)


def test_grey_images_stay_grey():
    cfg = with_hrnet('mmpretrain::lenet/lenet5_mnist.py')
    assert cfg.model.backbone.in_channels == 1
    assert scores_of(cfg, channels=1) == (1, 10)


def test_hrnets_own_neck_stays():
    cfg = with_hrnet('mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py', arch='w18_small_v2')
    assert [neck.type for neck in cfg.model.neck] == ['HRFuseScales', 'GlobalAveragePooling']
    assert tuple(cfg.model.neck[0].in_channels) == (18, 36, 72, 144)


def test_v2_joins_the_streams():
    cfg = with_hrnet(RESNET, necks='v2')
    assert [neck.type for neck in cfg.model.neck] == ['HRNetV2Neck', 'GlobalAveragePooling']
    assert cfg.model.head.in_channels == 15 * 16
    assert scores_of(cfg) == (1, 1000)


def test_heads_that_learn_from_a_teacher_learn_from_labels():
    cfg = with_hrnet('mmpretrain::levit/deploy/levit-128s_8xb256_in1k.py')
    assert cfg.model.head.distillation is False
    assert scores_of(cfg) == (1, 1000)


def test_linear_probing_normalises_the_new_width():
    cfg = with_hrnet('mmpretrain::mae/benchmarks/vit-base-p16_8xb2048-linear-coslr-90e_in1k.py', arch='w18')
    assert cfg.model.neck[-1] == dict(type='ClsBatchNormNeck', input_features=2048)
