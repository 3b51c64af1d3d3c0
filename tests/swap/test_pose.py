"""HRNet under mmpose's heads: the stream of the stride that each head works at."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from swaps import with_hrnet

BODY = 'mmpose::body_2d_keypoint'
C = 16  # channels of w18_small_v1's finest stream


def maps_of(cfg: Config, height: int, width: int) -> list[tuple[int, ...]]:
    """Shapes of what the swapped backbone and neck hand to the head."""
    model = {key: value for key, value in cfg.model.items() if key != 'init_cfg'}
    with DefaultScope.overwrite_default_scope('mmpose'), torch.no_grad():
        built = MODELS.build(model).eval()
        return [tuple(x.shape) for x in built.extract_feat(torch.rand(1, 3, height, width))]


@pytest.mark.parametrize(
    ('name', 'channels', 'stride'),
    [
        (f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py', C, 4),
        (f'{BODY}/topdown_heatmap/coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py', C, 4),
        (f'{BODY}/topdown_heatmap/coco/td-hm_pvt-s_8xb64-210e_coco-256x192.py', C, 4),
        (f'{BODY}/topdown_heatmap/jhmdb/td-hm_res50-2deconv_8xb64-40e_jhmdb-sub1-256x256.py', 2 * C, 8),
        (f'{BODY}/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py', 8 * C, 32),
        (f'{BODY}/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py', 8 * C, 32),
        (f'{BODY}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 8 * C, 32),
    ],
)
def test_a_head_reads_the_stream_of_its_stride(name: str, channels: int, stride: int):
    cfg = with_hrnet(name)
    cfg.model.neck = None  # pooling would hide the stride
    assert cfg.model.head.in_channels == channels
    assert maps_of(cfg, 64, 96) == [(1, channels, 64 // stride, 96 // stride)]


def test_heatmaps_need_no_deconvolutions():
    head = with_hrnet(f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py').model.head
    assert head.deconv_out_channels is None


@pytest.mark.parametrize('kind', ['simcc_res50_8xb64-210e', 'simcc_vipnas-mbv3_8xb64-210e'])
def test_coordinate_classes_keep_the_size_they_are_read_from(kind: str):
    """Three deconvolutions from stride 32 end at stride 4, where HRNet already is."""
    head = with_hrnet(f'{BODY}/simcc/coco/{kind}_coco-256x192.py').model.head
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


@pytest.mark.parametrize(
    ('name', 'widths'),
    [
        (f'{BODY}/yoloxpose/coco/yoloxpose_tiny_4xb64-300e_coco-416.py', [32, 64, 128]),
        (f'{BODY}/rtmo/body7/rtmo-s_8xb32-600e_body7-640x640.py', [32, 64, 128]),
    ],
)
def test_pyramids_read_strides_8_to_32(name: str, widths: list[int]):
    cfg = with_hrnet(name)
    assert cfg.model.neck.in_channels == widths
    assert tuple(cfg.model.backbone.out_indices) == (1, 2, 3)


def test_all_streams_are_joined_where_they_were_before():
    cfg = with_hrnet(
        'mmpose::face_2d_keypoint/topdown_heatmap/wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py'
    )
    assert cfg.model.neck == dict(type='FeatureMapProcessor', concat=True)
    assert cfg.model.head.in_channels == 15 * C
    assert tuple(cfg.model.head.conv_out_channels) == (15 * C,)
    assert maps_of(cfg, 64, 64) == [(1, 15 * C, 16, 16)]


def test_v2_joins_all_streams_for_heatmaps():
    name = f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
    cfg = with_hrnet(name, necks='v2')
    assert cfg.model.neck.type == 'HRNetV2Neck'
    assert maps_of(cfg, 64, 64) == [(1, 15 * C, 16, 16)]


def test_layer_wise_decay_goes_and_the_rescorer_stays():
    vit = with_hrnet(f'{BODY}/topdown_heatmap/coco/td-hm_ViTPose-base_8xb64-210e_coco-256x192.py', arch='w32')
    assert vit.optim_wrapper.constructor == 'DefaultOptimWrapperConstructor'
    assert 'layer_decay_rate' not in vit.optim_wrapper.paramwise_cfg
    assert 'hrnetv2_w32' in vit.model.backbone.init_cfg.checkpoint
    dekr = with_hrnet(f'{BODY}/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512.py')
    assert 'kpt_rescore' in dekr.model.head.rescore_cfg.init_cfg.checkpoint
