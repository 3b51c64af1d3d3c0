"""Who races: each task's networks, the recipes that they come from, and the learning rates of those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

WIDTHS: Final = ('small', 'full')


@dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        label: The network in full, as in ``HRNetV2-W48``.
        config: A config, of ours in ``configs/`` or of a package.
        changes: Dotted key of its model -> value.
    """

    label: str
    config: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A network that races.

    Attributes:
        name: What ``--only`` calls it.
        rate: Learning rate of the recipe in ``full``.
        batch: Images a step that the rate is for.
        full: The network at the size that the papers compare.
        small: The same at a size for a CPU.
    """

    name: str
    rate: float
    batch: int
    full: Source
    small: Source

    @property
    def is_ours(self) -> bool:
        """Whether it is an HRNet."""
        return self.name.startswith('HRNet')

    def source(self, width: str) -> Source:
        """Of one of the ``WIDTHS``."""
        return self.full if width == 'full' else self.small


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is raced on.

    Attributes:
        code: The task's name in ``make_config``.
        archs: Width -> the HRNet whose recipe sets pipeline, batch and rate.
        drawn: Config for the drawn data and the folder of those that it reads, if they have the task.
        metric: Key of the evaluator, and the name for people.
        multiple: Crops are whole multiples of so many pixels, which every network of the task can halve.
        networks: HRNet first.
        ablation: The papers' variants of HRNet.
    """

    code: str
    archs: Mapping[str, str]
    drawn: tuple[str, str] | None
    metric: tuple[str, str]
    multiple: int
    networks: tuple[Entrant, ...]
    ablation: tuple[Entrant, ...] = ()


_STREAMS: Final = [16, 32, 64, 128]  # channels of w18_small_v1
_SMALL: Final = {'backbone.arch': 'w18_small_v1', 'backbone.init_cfg': None}

# --- Segmentation ---------------------------------------------------------------------------------------

_OCR: Final = 'hrnetv2_w48_ocr_cityscapes.py'
_OCR_SMALL: Final = {
    'neck.in_channels': _STREAMS,
    'decode_head.0.in_channels': 240,
    'decode_head.0.channels': 240,
    'decode_head.1.in_channels': 240,
    'decode_head.1.channels': 128,
    'decode_head.1.ocr_channels': 64,
}
_UNET: Final = 'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py'
_UNET_SMALL: Final = {
    'backbone.base_channels': 16,
    'decode_head.in_channels': 16,
    'decode_head.channels': 16,
    'auxiliary_head.in_channels': 32,
    'auxiliary_head.channels': 16,
}
#: The head sees the finest stream alone.
_FINEST: Final = 'hrnetv1_w48_cityscapes.py'
_FINEST_SMALL: Final = {**_SMALL, 'decode_head.in_channels': 16}


def _hrnet_seg(name: str, full: Source, small: Source) -> Entrant:
    return Entrant(name=name, rate=0.01, batch=12, full=full, small=small)


def _vgg(name: str, config: str, **changes: Any) -> Entrant:
    narrow = {f'backbone.{key}': value for key, value in changes.items()}
    narrow |= {'backbone.base_channels': 16, 'decode_head.in_channels': 16, 'decode_head.channels': 16}
    small = Source(f'{name}, 16 channels', config, narrow)
    return Entrant(name=name, rate=0.01, batch=16, full=Source(name, config), small=small)


def _dilated(name: str, folder: str, changes: Mapping[str, Any] | None = None) -> Entrant:
    """A head on a ResNet with dilated stages; the small one has half the channels of ResNet-18."""
    config = f'mmseg::{folder}/{folder}_r{{}}-d8_4xb2-80k_cityscapes-512x1024.py'
    full = Source(f'{name}, ResNet-101', config.format(101))
    narrow = {'backbone.base_channels': 32, 'backbone.stem_channels': 32, **(changes or {})}
    for head, channels, width in (('decode_head', 256, 64), ('auxiliary_head', 128, 32)):
        narrow |= {f'{head}.in_channels': channels, f'{head}.channels': width}
    small = Source(f'{name}, ResNet-18 of 32 channels', config.format(18), narrow)
    return Entrant(name=name, rate=0.01, batch=8, full=full, small=small)


_SEGMENTATION: Final = (
    _hrnet_seg(
        'HRNetV2',
        Source('HRNetV2-W48', 'hrnetv2_w48_cityscapes.py'),
        Source('HRNetV2-W18-small-v1', 'hrnetv2_w18_small_v1_cityscapes.py'),
    ),
    _hrnet_seg(
        'HRNetV2+OCR',
        Source('HRNetV2-W48 + OCR', _OCR),
        Source('HRNetV2-W18-small-v1 + OCR', _OCR, _SMALL | _OCR_SMALL),
    ),
    _vgg('SegNet', 'relatives/segnet_vgg16_cityscapes.py'),
    # a core of 3x3 instead of 7x7, which asks for images of 193 pixels
    _vgg('DeconvNet', 'relatives/deconvnet_vgg16_voc12aug.py', core_channels=256, core_kernel_size=3),
    Entrant(
        name='U-Net',
        rate=0.01,
        batch=16,
        full=Source('U-Net', _UNET),
        small=Source('U-Net, 16 channels', _UNET, _UNET_SMALL),
    ),
    _dilated('PSPNet', 'pspnet'),
    _dilated('DeepLabv3', 'deeplabv3'),
    _dilated('DeepLabv3+', 'deeplabv3plus', {'decode_head.c1_in_channels': 32}),
)
_SEGMENTATION_ABLATION: Final = (
    _SEGMENTATION[0],
    _hrnet_seg(
        'HRNetV1',
        Source('HRNetV1-W48', _FINEST),
        Source('HRNetV1-W18-small-v1', _FINEST, _FINEST_SMALL | {'decode_head.channels': 16}),
    ),
    _hrnet_seg(
        'HRNetV1h',  # the finest stream widened to as many channels as V2 has
        Source('HRNetV1h-W48', _FINEST, {'decode_head.channels': 720}),
        Source('HRNetV1h-W18-small-v1', _FINEST, _FINEST_SMALL | {'decode_head.channels': 240}),
    ),
)

# --- Pose -----------------------------------------------------------------------------------------------

_COCO: Final = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_{}_coco-256x{}.py'
_RES50: Final = _COCO.format('res50_8xb64-210e', 192)
_RES18: Final = {
    'backbone.depth': 18,
    'head.in_channels': 512,
    'head.deconv_out_channels': (64, 64, 64),
}
_HOURGLASS: Final = _COCO.format('hourglass52_8xb32-210e', 256)
#: As in its paper (arXiv 1603.06937); mmpose's five halvings leave 192 pixels no whole number.
_HALVINGS: Final = {'backbone.downsample_times': 4}
_HOURGLASS_SMALL: Final = {
    'backbone.stage_channels': (256, 64, 64, 96, 96),
    'backbone.stage_blocks': (1, 1, 1, 1, 1),
    'backbone.feat_channel': 64,
    'head.in_channels': 64,
}
_POSE_SMALL: Final = 'hrnetv1_w18_small_v1_own_coco.py'


def _pose(name: str, full: Source, small: Source) -> Entrant:
    return Entrant(name=name, rate=5e-4, batch=512, full=full, small=small)


def _pose_variant(variant: str, config: str, changes: Mapping[str, Any]) -> Entrant:
    """An ablation; the small ones are of W18-small-v2, since v1 has one fusion a stage already."""
    base, _, fusions = variant.partition(', ')
    full, small = (', '.join(filter(None, (f'{base}-{arch}', fusions))) for arch in ('W32', 'W18-small-v2'))
    arch = {'backbone.arch': 'w18_small_v2', 'head.in_channels': 18}
    return _pose(variant, Source(full, config), Source(small, _POSE_SMALL, arch | changes))


_POSE: Final = (
    _pose(
        'HRNetV1',
        Source('HRNetV1-W32', 'hrnetv1_w32_scratch_coco_256x192.py'),
        Source('HRNetV1-W18-small-v1', _POSE_SMALL),
    ),
    _pose(
        'SimpleBaseline',
        Source('SimpleBaseline, ResNet-50', _RES50),
        Source('SimpleBaseline, ResNet-18', _RES50, _RES18),
    ),
    _pose(
        'Hourglass',
        Source('Hourglass', _HOURGLASS, _HALVINGS),
        Source('Hourglass, 64 channels', _HOURGLASS, _HALVINGS | _HOURGLASS_SMALL),
    ),
)
_MIXED: Final = {
    'backbone.multiscale_output': True,
    'neck': dict(type='HRNetV2Neck', in_channels=[18, 36, 72, 144]),
    'head.in_channels': 270,
}
_POSE_ABLATION: Final = (
    _pose_variant('HRNetV1', 'hrnetv1_w32_scratch_coco_256x192.py', {}),
    _pose_variant('HRNetV2', 'hrnetv2_w32_pose_scratch_coco_256x192.py', _MIXED),
    _pose_variant(
        'HRNetV1, 1 fusion', 'hrnetv1_w32_1fusion_scratch_coco_256x192.py', {'backbone.fusions': (0, 0, 1)}
    ),
    _pose_variant(
        'HRNetV1, 3 fusions', 'hrnetv1_w32_3fusions_scratch_coco_256x192.py', {'backbone.fusions': (1, 1, 1)}
    ),
)

# --- Detection and classification -----------------------------------------------------------------------

_DETECTOR_SMALL: Final = 'hrnetv2p_w18_small_v1_faster_rcnn_own_coco.py'


def _detector(name: str, full: Source, small: Source) -> Entrant:
    return Entrant(name=name, rate=0.02, batch=16, full=full, small=small)


def _fpn(kind: str, layers: int, config: str, small: int, changes: Mapping[str, Any]) -> Entrant:
    config = f'mmdet::faster_rcnn/faster-rcnn_{config}_fpn_1x_coco.py'
    names = [f'{kind}-{depth}-FPN' for depth in (layers, small)]
    fewer = {'backbone.depth': small, **changes}
    return _detector(names[0], Source(names[0], config), Source(names[1], config, fewer))


#: Blocks of ResNets up to 34 layers are not widened.
_NARROW: Final = {'neck.in_channels': [64, 128, 256, 512]}
_DETECTION: Final = (
    _detector(
        'HRNetV2p',
        Source('HRNetV2p-W32', 'hrnetv2p_w32_faster_rcnn_coco_1x.py'),
        Source('HRNetV2p-W18-small-v1', _DETECTOR_SMALL),
    ),
    _fpn('ResNet', 50, 'r50', 18, _NARROW),
    _fpn('ResNet', 101, 'r101', 34, _NARROW),
    _fpn('ResNeXt', 101, 'x101-64x4d', 50, {'backbone.groups': 32}),
)
_DETECTION_ABLATION: Final = (
    _DETECTION[0],
    _detector(
        'HRNetV1',  # the pyramid is made of the finest stream alone
        Source(
            'HRNetV1-W32',
            'hrnetv1_w18_faster_rcnn_coco_1x.py',
            {'backbone.arch': 'w32', 'neck.in_channels': [32]},
        ),
        Source(
            'HRNetV1-W18-small-v1',
            _DETECTOR_SMALL,
            {'backbone.multiscale_output': False, 'neck.in_channels': [16]},
        ),
    ),
)
_RESNET: Final = Source('ResNet-50', 'mmpretrain::resnet/resnet50_8xb32_in1k.py')
_CLASSIFICATION: Final = (
    Entrant(
        name='HRNet-C',
        rate=0.05,
        batch=128,
        full=Source('HRNet-W18-C', 'hrnet_w18_imagenet.py'),
        small=Source('HRNet-W18-small-v1-C', 'hrnet_w18_small_v1_imagenet.py'),
    ),
    Entrant(name='ResNet-50', rate=0.1, batch=256, full=_RESNET, small=_RESNET),
)

TASKS: Final[Mapping[str, Task]] = {
    'segmentation': Task(
        code='seg',
        archs=dict(small='w18_small_v1', full='w48'),
        drawn=('hrnetv2_w18_small_v1_synthetic.py', 'cityscapes'),
        metric=('mIoU', 'mIoU (%)'),
        multiple=32,
        networks=_SEGMENTATION,
        ablation=_SEGMENTATION_ABLATION,
    ),
    'pose': Task(
        code='pose',
        archs=dict(small='w18_small_v1', full='w32'),
        drawn=('hrnetv1_w18_small_v1_synthetic_192x144.py', 'coco'),
        metric=('coco/AP', 'AP'),
        multiple=64,  # the hourglass halves four times what its stem has quartered
        networks=_POSE,
        ablation=_POSE_ABLATION,
    ),
    'detection': Task(
        code='det',
        archs=dict(small='w18_small_v1', full='w32'),
        drawn=('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py', 'coco'),
        metric=('coco/bbox_mAP', 'box AP'),
        multiple=32,
        networks=_DETECTION,
        ablation=_DETECTION_ABLATION,
    ),
    'classification': Task(
        code='cls',
        archs=dict(small='w18_small_v1', full='w18'),
        drawn=None,
        metric=('accuracy/top1', 'top-1 (%)'),
        multiple=1,
        networks=_CLASSIFICATION,
    ),
}
