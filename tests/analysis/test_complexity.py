"""Counting one model: against counts by hand, against the peers, and what can't be counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from tool_runs import in_process
from torch import nn

from hrnet_mm.analysis import complexity, complexity_of, measure, shape_of
from hrnet_mm.config.build import build_model
from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.load import load_config

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.filterwarnings('ignore:pkg_resources is deprecated')


def config(name: str) -> Config:
    return load_config(ROOT / 'configs' / name)


def classifier(backbone: dict, head: dict) -> Config:
    model = dict(type='ImageClassifier', backbone=backbone, head=head)
    return Config(dict(default_scope='mmpretrain', model=model))


# -- counts ---------------------------------------------------------------------------------------


def test_counts_by_hand():
    """LeNet-5 at 32x32: convolutions, then linear layers; biases are parameters and no products."""
    size = measure(classifier(dict(type='LeNet5', num_classes=-1), dict(type='ClsHead')), (32, 32))
    convs = [(1, 6, 25, 28 * 28), (6, 16, 25, 10 * 10), (16, 120, 25, 1)]
    assert size.macs == size.macs_as_run == sum(i * o * k * area for i, o, k, area in convs)
    assert size.params == sum(i * o * k + o for i, o, k, _ in convs)
    assert size.norm_params == 0
    assert size.rois is None


def test_norms_are_counted_apart():
    model = build_model(config('hrnet_w18_small_v1_cifar10.py'), device='meta')
    by_hand = sum(2 * module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    assert complexity_of(model, (32, 32)).norm_params == by_hand


def test_the_concatenating_form_is_mmdets():
    """mmdet's HRFPN concatenates, as the paper draws it; ours saves products at the coarser streams."""
    cfg = config('hrnetv2p_w18_faster_rcnn_coco_1x.py')
    theirs = load_config('mmdet::hrnet/faster-rcnn_hrnetv2p-w18-1x_coco.py')
    ours, truth = measure(cfg, (256, 320)), measure(theirs, (256, 320))
    assert (ours.params, ours.macs, ours.rois) == (truth.params, truth.macs, truth.rois)
    assert truth.macs_as_run == truth.macs
    area, coarser = 64 * 80, {36: 4, 72: 16, 144: 64}
    assert ours.macs - ours.macs_as_run == sum(
        width * 256 * (area - area // less) for width, less in coarser.items()
    )


@pytest.mark.nightly
def test_every_box_head_of_a_cascade_and_the_mask_head_count():
    faster, cascade, mask = (
        measure(load_config(f'mmdet::hrnet/{name}.py'), (128, 128), rois=10)
        for name in (
            'faster-rcnn_hrnetv2p-w18-1x_coco',
            'cascade-rcnn_hrnetv2p-w18-20e_coco',
            'mask-rcnn_hrnetv2p-w18-1x_coco',
        )
    )
    shared = 10 * (7 * 7 * 256 * 1024 + 1024 * 1024)
    box_head, stage = (shared + 10 * 1024 * (81 + outputs) for outputs in (320, 4))
    assert cascade.macs - faster.macs == 3 * stage - box_head
    convs = 4 * 9 * 256 * 256 * 14 * 14
    up_and_out = 4 * 256 * 256 * 14 * 14 + 256 * 80 * 28 * 28
    assert mask.macs - faster.macs == 100 * (convs + up_and_out)  # on 100 detections


@pytest.mark.nightly
def test_hybrid_task_cascade_by_hand():
    """Three boxes, three masks that hand their features on, and a semantic branch."""
    cfg = load_config(ROOT / 'configs' / 'hrnetv2p_w18_htc_coco_20e.py')
    whole = measure(cfg, (128, 128), rois=10)
    flow = [14 * 14 * 256 * 256 * n for n in (0, 1, 1)]
    convs, up = 4 * 9 * 256 * 256 * 14 * 14, 4 * 256 * 256 * 14 * 14 + 256 * 80 * 28 * 28
    masks = 100 * sum(convs + up + link for link in flow)
    # five levels resized to the second, a 1x1 on each, four 3x3, and 1x1 for the classes and for the boxes
    semantic = 16 * 16 * 256 * (5 * 256 + 4 * 9 * 256 + 183 + 256)
    roi_head = cfg.model.roi_head
    for key in [key for key in roi_head if key.startswith(('mask', 'semantic', 'interleaved'))]:
        roi_head.pop(key)
    roi_head.type, cfg.model.type = 'CascadeRoIHead', 'CascadeRCNN'
    assert whole.macs - measure(cfg, (128, 128), rois=10).macs == masks + semantic


def test_a_head_shared_by_rois_counts():
    """C4: the backbone's last stage runs on every RoI, at stride 2."""
    cfg = load_config('mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py')
    few, many = (measure(cfg, (64, 64), rois=rois).macs for rois in (1, 3))
    # the first of three bottlenecks, which halves the size in its first convolution, and two more
    first = 1024 * 512 + 9 * 512 * 512 + 512 * 2048 + 1024 * 2048
    others = 2 * (2048 * 512 + 9 * 512 * 512 + 512 * 2048)
    assert (many - few) // 2 == 49 * (first + others) + 2048 * (81 + 320)


def test_constructors_may_read_numbers_and_change_their_config():
    """mmpretrain's ResNet reads drop path rates; mmseg's segmentors write into what they are given."""
    size = measure(load_config('mmpretrain::resnet/resnet50_8xb32_in1k.py'), (224, 224))
    assert size.params == 25557032
    cfg = load_config('mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')
    before = cfg.pretty_text
    assert measure(cfg, (64, 64)) == measure(cfg, (64, 64))
    assert cfg.pretty_text == before


def test_nothing_is_left_behind():
    """Counting the concatenating form doesn't change a model for good."""
    model = build_model(config('hrnetv2p_w18_faster_rcnn_coco_1x.py'), device='meta')
    with complexity._concatenating(model):
        assert type(model.neck.reduction_conv.conv) is not nn.Conv2d
    assert type(model.neck.reduction_conv.conv) is nn.Conv2d


# -- shapes ---------------------------------------------------------------------------------------

SHAPES = {
    'hrnet_w18_imagenet.py': (224, 224),
    'hrnet_w18_small_v1_cifar10.py': (32, 32),
    'hrnetv1_w48_coco_384x288.py': (384, 288),
    'hrnetv2_w48_cityscapes.py': (512, 1024),
    'hrnetv2p_w48_faster_rcnn_coco_1x.py': (800, 1216),
}


@pytest.mark.parametrize(('name', 'shape'), SHAPES.items())
def test_the_shape_is_read_off_the_config(name, shape):
    assert shape_of(config(name)) == shape


def test_every_codebase_reads_shapes():
    assert all(callable(codebase.function('shape')) for codebase in CODEBASES.values())


@pytest.mark.parametrize('scope', ['mmpose', 'mmseg', 'mmpretrain', 'elsewhere'])
def test_a_config_without_a_shape_asks_for_one(scope):
    with pytest.raises(ConfigError, match=r'--shape = None: expected --shape H W, because the config names'):
        shape_of(Config(dict(default_scope=scope, model=dict(type='A'))))


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (Config(dict(default_scope='mmseg')), r'model = None: expected a config with a model'),
        (
            Config(dict(default_scope='mmpretrain', model=dict(type='NoSuchModel'))),
            r"model\.type = 'NoSuchModel': expected a model that can be built \(KeyError: ",
        ),
        (
            classifier(dict(type='HRNetBackbone', arch='w19'), dict(type='ClsHead')),
            r"expected a model that can be built \(ValueError: .*arch='w19': expected one of",
        ),
        (
            classifier(dict(type='LeNet5', num_classes=-1), dict(type='ClsHead')),
            r"model\.type = 'ImageClassifier': expected a model that can run on an empty image of 2x2 \(",
        ),
    ],
)
def test_what_cannot_be_counted_is_told_in_one_line(cfg, message):
    with pytest.raises(ConfigError, match=message) as caught:
        measure(cfg, (2, 2))
    assert '\n' not in str(caught.value)


def test_other_roi_heads_are_refused():
    cfg = load_config('mmdet::point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py')
    with pytest.raises(
        ConfigError, match=r"roi_head\.type = 'PointRendRoIHead': expected one of StandardRoI"
    ):
        measure(cfg, (64, 64))


def test_boxes_from_elsewhere_are_refused():
    cfg = load_config('mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py')
    with pytest.raises(ConfigError, match=r'model\.rpn_head = None: expected an RPN'):
        measure(cfg, (64, 64))


# -- the tool -------------------------------------------------------------------------------------


def run(arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(ROOT)
    return in_process('complexity.py', *arguments.split(), monkeypatch=monkeypatch)


CITYSCAPES = 'configs/hrnetv2_w48_cityscapes.py'


def test_the_tool_counts(monkeypatch, capsys):
    assert run(f'{CITYSCAPES} --shape 1024 2048', monkeypatch) == 0
    assert capsys.readouterr().out.splitlines() == [
        'parameters            65,859,379 (65.9 M)',
        'multiply-accumulates  747,513,053,184 (696.18 x 2^30; one image of 1024x2048)',
    ]
    options = '--cfg-options model.head.num_classes=10'
    assert run(f'configs/hrnet_w18_imagenet.py {options}', monkeypatch) == 0
    assert f'{21299004 - 2049 * 990:,} (19.3 M)' in capsys.readouterr().out


def test_the_tool_predicts_the_memory_of_training(monkeypatch, capsys):
    config = 'configs/hrnetv1_w18_small_v1_synthetic_192x144.py --shape 64 48'
    assert run(f'{config} --train-memory --batch 4 --gib 0.1', monkeypatch) == 0
    out = capsys.readouterr().out
    assert out.startswith('one process, 4 images of 64x48, float32\n')
    for line in ('weights and statistics', 'optimizer state', 'peak, features', 'largest batch in 0.1 GiB: '):
        assert f'\n{line}' in out
    rows = [line[:13].rstrip() for line in out.splitlines() if line.startswith(('(', 'nothing'))]
    assert rows == ['nothing', '(1,)', '(2,)', '(3,)', '(4,)', '(1, 2, 3, 4)']


def test_the_text_tells_what_was_counted():
    text = measure(config('hrnetv2p_w18_faster_rcnn_coco_1x.py'), (64, 96)).as_text((64, 96))
    assert 'one image of 64x96, 1000 RoIs in the box head' in text and '\nas run here' in text
    segmentor = load_config('mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    text = measure(segmentor, (64, 64)).as_text((64, 64))
    assert 'parameters            48,975,494 (49.0 M)' in text
    assert 'for training alone    2,364,691 parameters of auxiliary heads, not run' in text
