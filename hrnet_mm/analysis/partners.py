"""Whom the paper compares HRNet with, as data: configs by reference, input sizes, and what was published.

Our configs are named by file, the partners' by package. Published figures are facts to compare with, never
results of ours: tables I, III, VII, VIII and XV and appendix C of the paper (arXiv 1908.07919).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .shapes import DETECTION_SHAPE, Shape


@dataclass(frozen=True)
class Published:
    """What the paper prints for a network, ``''`` where it prints nothing.

    Attributes:
        params: millions of parameters.
        gflops: multiply-accumulates, in the authors' unit of 2^30.
        score: accuracy, see ``Task.score``.
        memory: GPU memory of inference on one image, in GB.
        training_memory: GPU memory of training, in GB; the batch is not given.
        seconds: time of inference on one image, PyTorch 1.0.
    """

    params: str
    gflops: str
    score: str
    memory: str = ''
    training_memory: str = ''
    seconds: str = ''


@dataclass(frozen=True)
class Partner:
    """One network of a comparison, ours or another's.

    Attributes:
        task: key of ``TASKS``.
        name: the network.
        config: file in ``configs/``, or ``package::path`` for a config that an mm package ships.
        shape: height and width of the image.
        published: the paper's row about this network.
        note: how the paper's network differs from the config's.
    """

    task: str
    name: str
    config: str
    shape: Shape
    published: Published | None = None
    note: str = ''


@dataclass(frozen=True)
class Task:
    """What one comparison is about.

    Attributes:
        title: heading of its table.
        source: tables of the paper that its published figures are from.
        score: name of the published accuracy.
        cpu_time_shape: height and width that time is measured at on a CPU, where the full size takes too
            long; ``None`` for the full size.
    """

    title: str
    source: str
    score: str
    cpu_time_shape: Shape | None = None


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        'pose': Task('Pose estimation, COCO val2017', 'tables I and XVII', 'AP'),
        'segmentation': Task(
            'Semantic segmentation, Cityscapes val', 'tables III and XVIII', 'mIoU (%)', (512, 1024)
        ),
        'detection': Task(
            'Detection, Faster R-CNN, COCO val2017', 'tables VII, VIII (1x) and XIX', 'box AP', (400, 608)
        ),
        'classification': Task('Classification, ImageNet', 'table XV', 'top-1 error (%)'),
    }
)

_SMALL, _LARGE = (256, 192), (384, 288)


def _pose() -> list[Partner]:
    theirs = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm'
    rows = [
        (
            'Hourglass-52',
            f'{theirs}_hourglass52_8xb32-210e_coco-256x256.py',
            (256, 256),
            None,
            'The paper has an eight-stage Hourglass at 256x192 (25.1 M, 14.3 GFLOPs, AP 66.9); mmpose ships '
            'one stage of another, wider one.',
        ),
        (
            'SimpleBaseline, ResNet-50',
            f'{theirs}_res50_8xb64-210e_coco-256x192.py',
            _SMALL,
            Published('34.0', '8.90', '70.4', '0.16', '11.9', '0.012'),
            'SimpleBaseline: the paper counts a transposed convolution at every pixel it writes, four times '
            'what is multiplied; counted so, the three at 256x192 come to 8.99, 12.38 and 15.77.',
        ),
        (
            'SimpleBaseline, ResNet-101',
            f'{theirs}_res101_8xb64-210e_coco-256x192.py',
            _SMALL,
            Published('53.0', '12.4', '71.4', '0.23', '13.2', '0.020'),
            '',
        ),
        (
            'SimpleBaseline, ResNet-152',
            f'{theirs}_res152_8xb32-210e_coco-256x192.py',
            _SMALL,
            Published('68.6', '15.7', '72.0', '0.29', '14.8', '0.030'),
            '',
        ),
        (
            'HRNetV1-W32',
            'hrnetv1_w32_coco_256x192.py',
            _SMALL,
            Published('28.5', '7.10', '74.4', '0.13', '5.7', '0.057'),
            '',
        ),
        (
            'HRNetV1-W48',
            'hrnetv1_w48_coco_256x192.py',
            _SMALL,
            Published('63.6', '14.6', '75.1', '0.27', '7.3', '0.058'),
            '',
        ),
        (
            'SimpleBaseline, ResNet-152',
            f'{theirs}_res152_8xb32-210e_coco-384x288.py',
            _LARGE,
            Published('68.6', '35.6', '74.3'),
            '',
        ),
        ('HRNetV1-W32', 'hrnetv1_w32_coco_384x288.py', _LARGE, Published('28.5', '16.0', '75.8'), ''),
        ('HRNetV1-W48', 'hrnetv1_w48_coco_384x288.py', _LARGE, Published('63.6', '32.9', '76.3'), ''),
    ]
    return [Partner('pose', *row) for row in rows]


def _segmentation() -> list[Partner]:
    rows = [
        (
            'U-Net',
            'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
            None,
            "U-Net: the paper's row is UNet++ on ResNet-101 (59.5 M, 748.5 GFLOPs, mIoU 75.5 %), which mmseg "
            'does not ship.',
        ),
        (
            'DeepLabv3, ResNet-101',
            'mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py',
            Published('58.0', '1778.7', '78.5', '1.15', '13.3', '0.4113'),
            "DeepLabv3: mmseg's head has 512 channels; the paper's figures are too small for that.",
        ),
        (
            'DeepLabv3+, ResNet-101',
            'mmseg::deeplabv3plus/deeplabv3plus_r101-d8_4xb2-80k_cityscapes-512x1024.py',
            None,
            "DeepLabv3+: the paper's row is on Xception-71 (43.5 M, 1444.6 GFLOPs, mIoU 79.6 %), which mmseg "
            'does not ship.',
        ),
        (
            'PSPNet, ResNet-101',
            'mmseg::pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py',
            Published('65.9', '2017.6', '79.7', '1.60', '14.4', '0.3972'),
            '',
        ),
        ('HRNetV2-W40', 'hrnetv2_w40_cityscapes.py', Published('45.2', '493.2', '80.2'), ''),
        (
            'HRNetV2-W48',
            'hrnetv2_w48_cityscapes.py',
            Published('65.9', '696.2', '81.1', '1.79', '13.9', '0.1502'),
            '',
        ),
        (
            'HRNetV2-W48 + OCR',
            'hrnetv2_w48_ocr_cityscapes.py',
            Published('70.3', '1206.3', '81.6'),
            '',
        ),
    ]
    return [
        Partner('segmentation', name, config, (1024, 2048), published, note)
        for name, config, published, note in rows
    ]


def _detection() -> list[Partner]:
    theirs = 'mmdet::faster_rcnn/faster-rcnn'
    rows = [
        ('ResNet-50-FPN', f'{theirs}_r50_fpn_1x_coco.py', '39.8 172.3 36.7 0.55 3.4 0.0739'),
        ('HRNetV2p-W18', 'hrnetv2p_w18_faster_rcnn_coco_1x.py', '26.2 159.1 36.2 0.33 6.2 0.0968'),
        ('ResNet-101-FPN', f'{theirs}_r101_fpn_1x_coco.py', '57.8 239.4 39.2 0.62 5.4 0.0870'),
        ('HRNetV2p-W32', 'hrnetv2p_w32_faster_rcnn_coco_1x.py', '45.0 245.3 39.6 0.51 8.5 0.1014'),
        ('ResNeXt-101-64x4d-FPN', f'{theirs}_x101-64x4d_fpn_1x_coco.py', '94.9 381.8 41.3 0.77 9.5 0.1438'),
        ('HRNetV2p-W48', 'hrnetv2p_w48_faster_rcnn_coco_1x.py', '79.4 399.1 41.3 0.79 11.3 0.1162'),
    ]
    return [
        Partner('detection', name, config, DETECTION_SHAPE, Published(*figures.split()))
        for name, config, figures in rows
    ]


def _classification() -> list[Partner]:
    stem = "ResNet: the paper's have a stem of two strided 3x3 convolutions, mmpretrain's one of 7x7."
    rows = [
        ('ResNet-50', 'mmpretrain::resnet/resnet50_8xb32_in1k.py', '25.6 3.82 23.3', stem),
        ('HRNet-W18-C', 'hrnet_w18_imagenet.py', '21.3 3.99 23.1', ''),
        ('ResNet-101', 'mmpretrain::resnet/resnet101_8xb32_in1k.py', '44.6 7.30 21.6', ''),
        ('HRNet-W30-C', 'hrnet_w30_imagenet.py', '37.7 7.55 21.9', ''),
        ('ResNet-152', 'mmpretrain::resnet/resnet152_8xb32_in1k.py', '60.2 10.7 21.2', ''),
        ('HRNet-W40-C', 'hrnet_w40_imagenet.py', '57.6 11.8 21.1', ''),
    ]
    return [
        Partner('classification', name, config, (224, 224), Published(*figures.split()), note)
        for name, config, figures, note in rows
    ]


PARTNERS: tuple[Partner, ...] = (*_pose(), *_segmentation(), *_detection(), *_classification())
