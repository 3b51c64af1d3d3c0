"""What the HRNet authors published, as data: sizes of the networks, and how well they did.

Facts to compare with, never results of ours. Units differ between the authors' repositories and were
found by recomputing every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

#: All four repositories divide multiply-accumulates by this and call the quotient GFLOPs.
GIGA = 2**30


@dataclass(frozen=True)
class Unit:
    """How a repository prints numbers of parameters.

    Attributes:
        divisor: what it divides by.
        norms: whether weights and biases of norms are counted.
    """

    divisor: int = 10**6
    norms: bool = True


MILLION = Unit()
#: A reading of the detection table under which all four widths round to the printed digit. With norms, the
#: printed digits of W32, W40 and W48 would be cut off instead of rounded.
CONV_LINEAR_BINARY_MILLION = Unit(divisor=2**20, norms=False)

#: RoIs that the box head is counted on. Not published: 498 is the only whole number with which all four
#: widths round to the printed digit (with 500, W32 and W48 come out 0.1 higher).
DETECTION_ROIS = 498


@dataclass(frozen=True)
class PublishedSize:
    """One published row about a network's size.

    Attributes:
        task: key of ``SOURCES``.
        name: the network, as the authors call it.
        config: file in ``configs/`` that builds it.
        shape: height and width of the image.
        params: number of parameters as printed.
        gflops: multiply-accumulates of convolutions and linear layers as printed.
        unit: what ``params`` counts.
        params_exact: the integer behind ``params``, where one is known.
        macs_exact: the integer behind ``gflops``, where one is known.
        rois: RoIs counted in the box head of a detector.
        scores: published accuracy, name -> as printed.
        setting: how the accuracy was measured, where the source mixes settings.
    """

    task: str
    name: str
    config: str
    shape: tuple[int, int]
    params: str
    gflops: str
    unit: Unit = MILLION
    params_exact: int | None = None
    macs_exact: int | None = None
    rois: int | None = None
    scores: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    setting: str = ''


@dataclass(frozen=True)
class PublishedScore:
    """One published row about accuracy alone; attributes as above, ``config`` where one of ours builds it."""

    task: str
    name: str
    scores: Mapping[str, str]
    config: str | None = None
    setting: str = ''


#: task -> where its rows were published
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        'classification': 'README of HRNet/HRNet-Image-Classification; ImageNet validation, one crop',
        'pose': 'README of leoxiaobin/deep-high-resolution-net.pytorch; COCO val2017, flip test, person '
        'boxes of a detector with AP 56.4',
        'pose, ablation': 'the CVPR paper (arXiv 1902.09212), table 6; COCO val2017, trained from scratch',
        'pose, test-dev': 'the same; COCO test-dev2017, person boxes of a detector with AP 60.9',
        'segmentation': 'README of HRNet/HRNet-Semantic-Segmentation and the paper (arXiv 1908.07919)',
        'detection': 'README of HRNet/HRNet-Object-Detection; Faster R-CNN, COCO val2017, no SyncBN, no '
        'multi-scale training',
        'detection, other frameworks': 'README of HRNet/HRNet-Object-Detection; COCO val2017',
    }
)


def _classification() -> list[PublishedSize]:
    rows = [
        ('w18_small_v1', '13.2', '1.49', '27.7', '9.3', 13187464, 1601508352),
        ('w18_small_v2', '15.6', '2.42', '24.9', '7.6', 15597464, 2595712864),
        ('w18', '21.3', '3.99', '23.2', '6.6', 21299004, 4283537072),
        ('w30', '37.7', '7.55', '21.8', '5.8', 37712220, 8105781680),
        ('w32', '41.2', '8.31', '21.5', '5.8', 41232680, 8921133056),
        ('w40', '57.6', '11.8', '21.1', '5.5', 57557160, 12691997440),
        ('w44', '67.1', '13.9', '21.1', '5.6', 67064984, 14883104960),
        ('w48', '77.5', '16.1', '20.7', '5.5', 77469864, 17277996032),
        ('w64', '128.1', '26.9', '20.5', '5.4', 128059944, 28895395840),
    ]
    return [
        PublishedSize(
            task='classification',
            name=f'HRNet-{arch.replace("_", "-").capitalize()}-C',
            config=f'hrnet_{arch}_imagenet.py',
            shape=(224, 224),
            params=params,
            gflops=gflops,
            params_exact=params_exact,
            macs_exact=macs_exact,
            scores={'top-1 error (%)': top1, 'top-5 error (%)': top5},
        )
        for arch, params, gflops, top1, top5, params_exact, macs_exact in rows
    ]


_POSE_SCORES = ('AP', 'AP50', 'AP75', 'APm', 'APl', 'AR')


def _pose() -> list[PublishedSize]:
    rows = [
        ('w32', (256, 192), '28.5', '7.1', '0.744 0.905 0.819 0.708 0.810 0.798', 28536113, 7645003776),
        ('w32', (384, 288), '28.5', '16.0', '0.758 0.906 0.825 0.720 0.827 0.809', 28536113, 17201258496),
        ('w48', (256, 192), '63.6', '14.6', '0.751 0.906 0.822 0.715 0.818 0.804', 63595745, 15691825152),
        ('w48', (384, 288), '63.6', '32.9', '0.763 0.908 0.829 0.723 0.834 0.812', 63595745, 35306606592),
    ]
    return [
        PublishedSize(
            task='pose',
            name=f'HRNet-{arch.upper()}',
            config=f'hrnetv1_{arch}_coco_{shape[0]}x{shape[1]}.py',
            shape=shape,
            params=params,
            gflops=gflops,
            params_exact=params_exact,
            macs_exact=macs_exact,
            scores=dict(zip(_POSE_SCORES, scores.split(), strict=True)),
        )
        for arch, shape, params, gflops, scores, params_exact, macs_exact in rows
    ]


def _segmentation() -> list[PublishedSize]:
    return [
        PublishedSize(
            task='segmentation',
            name='HRNetV2-W48, 19 classes',
            config='hrnetv2_w48_cityscapes.py',
            shape=(1024, 2048),
            params='65.9',
            gflops='696.2',
            params_exact=65859379,
            macs_exact=747513053184,
        )
    ]


def _detection() -> list[PublishedSize]:
    rows = [
        ('w18', '26.2', '159.1', {'1x': '36.1', '2x': '38.1'}),
        ('w32', '45.0', '245.3', {'1x': '39.5', '2x': '40.8'}),
        ('w40', '60.5', '314.9', {'1x': '40.4', '2x': '41.4'}),
        ('w48', '79.4', '399.1', {'1x': '40.9', '2x': '41.5'}),
    ]
    return [
        PublishedSize(
            task='detection',
            name=f'HRNetV2p-{arch.upper()}, {schedule}',
            config=f'hrnetv2p_{arch}_faster_rcnn_coco_{schedule}.py',
            shape=(800, 1216),
            params=params,
            gflops=gflops,
            unit=CONV_LINEAR_BINARY_MILLION,
            rois=DETECTION_ROIS,
            scores={'box AP': box_ap},
        )
        for arch, params, gflops, schedules in rows
        for schedule, box_ap in schedules.items()
    ]


PUBLISHED_SIZES: tuple[PublishedSize, ...] = (
    *_classification(),
    *_pose(),
    *_segmentation(),
    *_detection(),
)


def _fusion_ablation() -> list[PublishedScore]:
    rows = [
        ('the final fusion only', '70.8', '1fusion_'),
        ('fusions across stages', '71.9', '3fusions_'),
        ('fusions across and within stages', '73.4', ''),
    ]
    return [
        PublishedScore(
            'pose, ablation',
            f'HRNet-W32, {fusions}',
            {'AP': ap},
            f'hrnetv1_w32_{file}scratch_coco_256x192.py',
        )
        for fusions, ap, file in rows
    ]


def _segmentation_scores() -> list[PublishedScore]:
    rows = [
        ('HRNetV2-W48', 'Cityscapes val', '80.9', 'single scale, no flip', 'hrnetv2_w48_cityscapes.py'),
        ('HRNetV2-W48 (paper)', 'Cityscapes val', '81.1', 'single scale, no flip', None),
        (
            'HRNetV2-W48 + OCR',
            'Cityscapes val',
            '81.6',
            'single scale, no flip',
            'hrnetv2_w48_ocr_cityscapes.py',
        ),
        ('HRNetV2-W48 + OCR, train+val', 'Cityscapes test', '82.3', 'multi-scale, flip', None),
        ('HRNetV2-W48', 'LIP val', '55.83', 'flip', 'hrnetv2_w48_lip.py'),
        ('HRNetV2-W48 + OCR', 'LIP val', '56.48', 'flip', 'hrnetv2_w48_ocr_lip.py'),
        *_pascal_context(classes=59, plain='54.1', ocr='56.2'),
        *_pascal_context(classes=60, plain='48.3', ocr='50.1'),
        ('HRNetV2-W48', 'COCO-Stuff', '36.2', 'single scale', 'hrnetv2_w48_coco_stuff10k.py'),
        ('HRNetV2-W48 + OCR', 'COCO-Stuff', '39.7', 'single scale', 'hrnetv2_w48_ocr_coco_stuff10k.py'),
        ('HRNetV2-W48', 'ADE20K val', '43.1', 'single scale', 'hrnetv2_w48_ade20k.py'),
        ('HRNetV2-W48 + OCR', 'ADE20K val', '44.5', 'single scale', 'hrnetv2_w48_ocr_ade20k.py'),
    ]
    return [
        PublishedScore('segmentation', f'{model}; {data}, {setting}', {'mIoU (%)': miou}, config, setting)
        for model, data, miou, setting, config in rows
    ]


def _pascal_context(*, classes: int, plain: str, ocr: str) -> list[tuple[str, str, str, str, str]]:
    data, setting = f'PASCAL-Context, {classes} classes', 'multi-scale, flip'
    return [
        ('HRNetV2-W48', data, plain, setting, f'hrnetv2_w48_pascal_context_{classes}.py'),
        ('HRNetV2-W48 + OCR', data, ocr, setting, f'hrnetv2_w48_ocr_pascal_context_{classes}.py'),
    ]


def _other_detectors() -> list[PublishedScore]:
    rows = [
        ('Mask R-CNN', 'w18', '1x', '37.3', '34.2'),
        ('Mask R-CNN', 'w18', '2x', '39.2', '35.7'),
        ('Mask R-CNN', 'w32', '1x', '40.7', '36.8'),
        ('Mask R-CNN', 'w32', '2x', '42.1', '37.6'),
        ('Cascade R-CNN', 'w18', '20e', '41.2', None),
        ('Cascade R-CNN', 'w32', '20e', '43.7', None),
        ('Cascade R-CNN', 'w48', '20e', '44.6', None),
        ('Cascade Mask R-CNN', 'w18', '20e', '41.9', '36.4'),
        ('Cascade Mask R-CNN', 'w32', '20e', '44.5', '38.5'),
        ('Cascade Mask R-CNN', 'w48', '20e', '46.0', '39.5'),
        ('HTC', 'w18', '20e', '43.1', '37.9'),
        ('HTC', 'w32', '20e', '45.3', '39.6'),
        ('HTC', 'w48', '20e', '46.8', '40.7'),
        ('FCOS', 'w18', '1x', '35.2', None),
        ('FCOS', 'w18', '2x', '38.2', None),
        ('FCOS', 'w32', '1x', '37.7', None),
        ('FCOS', 'w32', '2x', '40.3', None),
    ]
    return [
        PublishedScore(
            'detection, other frameworks',
            f'{framework}, HRNetV2p-{arch.upper()}, {schedule}',
            {'box AP': box_ap} | ({'mask AP': mask_ap} if mask_ap else {}),
            f'hrnetv2p_{arch}_{_file_name(framework)}_coco_{schedule}.py',
        )
        for framework, arch, schedule, box_ap, mask_ap in rows
    ]


def _file_name(framework: str) -> str:
    return framework.lower().replace('-', '_').replace(' ', '_').replace('r_cnn', 'rcnn')


PUBLISHED_SCORES: tuple[PublishedScore, ...] = (
    *_fusion_ablation(),
    PublishedScore('pose, test-dev', 'HRNet-W48, 384x288', {'AP': '0.755'}),
    *_segmentation_scores(),
    *_other_detectors(),
)
