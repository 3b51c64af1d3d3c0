"""Swapped configs against the packages' own HRNet configs, and the files that are written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from peers import in_scope, models_of

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import find_config
from hrnet_mm.config.load import load_config
from hrnet_mm.config.model_check import check_model
from hrnet_mm.swap import Swap, swap_config
from hrnet_mm.swap.swapping import adapt_optimizer

RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
FCOS = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_4xb4-1x_coco.py'
CONVNEXT = 'mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py'
TEACHER = 'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py'
FCN = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
RETINA = 'mmdet::retinanet/retinanet_r50-caffe_fpn_1x_coco.py'
#: As hrnet_mm 0.1 wrote them.
WRITTEN_BEFORE = """_base_ = 'mmdet::retinanet/retinanet_r50-caffe_fpn_1x_coco.py'
custom_imports = dict(imports=['hrnet_mm'])
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='HRNetBackbone',
        arch='w32',
        norm_cfg=dict(type='BN', requires_grad=False),
        frozen_stages=1,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w32'),
    ),
    neck=dict(
        _delete_=True,
        type='hrnet_mm.HRFPN',
        in_channels=[32, 64, 128, 256],
        out_channels=256,
        num_outs=5,
        stride=2,
    ),
)
default_hooks = dict(weights=dict(type='HRNetWeightsHook'))  # load_from in every publisher's layout
"""


def swap(name: str, arch: str = 'w32', **kwargs: Any) -> Swap:
    return swap_config(name, arch=arch, proof=False, **kwargs)


def shapes(cfg: Config) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the state of a config's model."""
    scope = cfg.default_scope
    with in_scope(scope), torch.device('meta'):
        model = models_of(scope).build(copy.deepcopy(cfg.model))
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def packaged(name: str) -> Config:
    return Config.fromfile(find_config(name))


@pytest.mark.parametrize(
    ('name', 'arch', 'necks', 'truth'),
    [
        (RCNN, 'w32', 'hrfpn', 'mmdet::hrnet/faster-rcnn_hrnetv2p-w32-1x_coco.py'),
        (FCOS, 'w18', 'hrfpn', 'mmdet::hrnet/fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco.py'),
        (
            'mmseg::ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py',
            'w48',
            'keep',
            'mmseg::ocrnet/ocrnet_hr48_4xb2-40k_cityscapes-512x1024.py',
        ),
    ],
)
def test_same_model_as_the_packages_own(name: str, arch: str, necks: Any, truth: str) -> None:
    ours, own = swap(name, arch, necks=necks).cfg, packaged(truth)
    assert shapes(ours) == shapes(own)
    if necks == 'hrfpn':  # a stride leaves no trace in the shapes of weights
        assert ours.model.neck.get('stride', 1) == own.model.neck.get('stride', 1)


def test_segmentor_reads_streams_as_mmsegs_own() -> None:
    """mmseg's FCN on ResNet has wider convolutions than its FCN on HRNet: the rest is the same."""
    own = packaged('mmseg::hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024.py')
    ours = swap(FCN, 'w18').cfg
    for key in ('in_index', 'in_channels', 'input_transform'):
        assert list(ours.model.decode_head[key]) == list(own.model.decode_head[key])
    found, truth = shapes(ours), shapes(own)
    assert {k for k in found if k.startswith('backbone.')} == {k for k in truth if k.startswith('backbone.')}
    assert found['decode_head.convs.0.conv.weight'] == (512, 270, 3, 3)
    assert truth['decode_head.convs.0.conv.weight'] == (270, 270, 1, 1)
    gathered = shapes(swap(FCN, 'w18', necks='v2').cfg)
    assert gathered['neck.mix.conv.weight'] == (270, 270, 1, 1)
    assert gathered['decode_head.convs.0.conv.weight'] == (512, 270, 3, 3)


@pytest.mark.parametrize('name', [FCN, 'mmdet::yolox/yolox_s_8xb8-300e_coco.py', TEACHER, CONVNEXT])
def test_file_says_what_was_wanted(name: str, tmp_path: Path) -> None:
    out = tmp_path / 'heir.py'
    wanted = swap(name, 'w18', out=out)
    assert [path.name for path in tmp_path.iterdir()] == ['heir.py']
    assert out.read_text() == wanted.text
    assert unscoped(Config.fromfile(out).to_dict()) == wanted.cfg.to_dict()


def unscoped(value: Any) -> Any:
    """Without the scope that MMEngine notes in what comes from another package."""
    if isinstance(value, dict):
        return {key: unscoped(item) for key, item in value.items() if key != '_scope_'}
    if isinstance(value, (list, tuple)):
        return type(value)(unscoped(item) for item in value)
    return value


def test_files_of_the_release_before_still_load(tmp_path: Path) -> None:
    file = tmp_path / 'heir.py'
    file.write_text(WRITTEN_BEFORE)
    cfg = load_config(file)
    check_model(cfg)
    assert unscoped(cfg.model.to_dict()) == swap(RETINA, necks='hrfpn').cfg.model.to_dict()


def test_a_file_of_ones_own_is_inherited_by_its_path(tmp_path: Path) -> None:
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'rcnn.py').write_text(f'_base_ = {RCNN!r}\nload_from = "old.pth"\n')
    out = tmp_path / 'new' / 'heir.py'
    out.parent.mkdir()
    text = swap(str(mine / 'rcnn.py'), out=out).text
    assert text.splitlines()[0] == "_base_ = '../mine/rcnn.py'"
    assert Config.fromfile(out).load_from is None
    assert Config.fromfile(out).model.backbone.type == 'HRNetBackbone'


def test_layer_decay_and_keys_of_the_old_backbone_go() -> None:
    cfg = swap(CONVNEXT).cfg
    assert cfg.optim_wrapper.constructor == 'DefaultOptimWrapperConstructor'
    assert cfg.optim_wrapper.paramwise_cfg == {}
    keys = swap('mmdet::mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py').cfg.optim_wrapper
    kept = set(keys.paramwise_cfg.custom_keys)
    assert {'backbone', 'query_embed', 'query_feat', 'level_embed'} == kept


@pytest.mark.parametrize(
    ('keys', 'kept'),
    [
        (
            ['backbone', 'backbone.stages', 'pos_embed', 'norm', 'query_embed', 'never_there'],
            ['backbone', 'norm', 'query_embed'],
        ),
        # a key that never named anything is no reason to rewrite
        (['backbone', 'never_there'], ['backbone', 'never_there']),
    ],
)
def test_keys_of_the_old_backbone_alone_go(keys: list[str], kept: list[str]) -> None:
    paramwise = {'custom_keys': {key: {} for key in keys}, 'norm_decay_mult': 0.0}
    cfg = Config({'optim_wrapper': {'constructor': 'X', 'paramwise_cfg': paramwise}})
    adapt_optimizer(
        cfg,
        before=['backbone.stages.0.norm.weight', 'backbone.pos_embed', 'backbone.conv1.weight'],
        after=[
            'backbone.conv1.weight',
            'backbone.bn1.weight',
            'decode_head.norm.weight',
            'query_embed.weight',
        ],
    )
    assert list(cfg.optim_wrapper.paramwise_cfg.custom_keys) == kept
    assert (cfg.optim_wrapper.paramwise_cfg.norm_decay_mult, cfg.optim_wrapper.constructor) == (0.0, 'X')


def test_caffe_colours_go_with_caffe_weights() -> None:
    before = packaged(RETINA).model.data_preprocessor
    assert before.std == [1.0, 1.0, 1.0]
    after = swap(RETINA).cfg.model.data_preprocessor
    assert (after.mean, after.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert after.bgr_to_rgb is True
    without_weights = swap(RETINA, 'w18_small_v1')
    assert without_weights.cfg.model.data_preprocessor == before
    assert 'no ImageNet weights of w18_small_v1 are known' in without_weights.summary


def test_a_backbone_of_a_registry_of_old_can_still_be_replaced() -> None:
    """mmpose ships two configs whose backbone, mmcls.VisionTransformer, nothing can build any more."""
    name = 'topdown_heatmap/humanart/td-hm_ViTPose-huge_8xb64-210e_humanart-256x192.py'
    assert swap(f'mmpose::body_2d_keypoint/{name}').cfg.model.backbone.type == 'HRNetBackbone'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'arch': 'w33'}, "--arch = 'w33': expected one of w18_small_v1"),
        ({'out': 'mine.py'}, 'expected another file than the config'),
        ({'out': 'gone/heir.py'}, 'expected a file in a folder that exists'),
        ({'out': 'there.py'}, '--force'),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('mine.py').write_text(f'_base_ = {RCNN!r}\n')
    Path('there.py').write_text('')
    with pytest.raises(ConfigError) as caught:
        swap_config('mine.py', **{'arch': 'w18', **arguments})
    assert message in str(caught.value)
    assert Path('there.py').read_text() == ''
