"""How every publisher lays HRNet's weights out: one table.

The body's keys are the authors' everywhere. What differs is what stands before them, the head's names,
whether the head's convolutions have a bias before their norm, and how the publisher's fusions upsample
(which no checkpoint records).

Names are prefixes of state-dict keys; ``*`` stands for one number. Every row renames to the same target:
the keys of our own whole models (``configs/``), whose row therefore renames nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..models.stages import Upsampling

NEAREST = Upsampling('nearest')
BILINEAR = Upsampling('bilinear', align_corners=False)
BILINEAR_ALIGNED = Upsampling('bilinear', align_corners=True)

#: ``(theirs, ours)``
Names = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Layout:
    """One publisher's weights for one task.

    Args:
        publisher: whom ``--to`` names.
        task: what the head does; ``body`` is a backbone without one.
        description: for reports.
        names: the head's names, theirs and ours.
        upsampling: in fusions; ``None`` where the layout does not tell.
        marks: names of which one must be there for the layout to be recognised; default: any of ``names``.
        biased: the convolutions of ``BEFORE_NORMS`` have a bias.
        namespaced: the body stands under ``backbone.`` and the file under ``state_dict``.
        keeps_others: parts not named here (a detector's heads) are the same in all such layouts.
        prefix: what stands before every key when written.
    """

    publisher: str
    task: str
    description: str
    names: Names = ()
    upsampling: Upsampling | None = None
    marks: tuple[str, ...] = ()
    biased: bool = False
    namespaced: bool = True
    keeps_others: bool = True
    prefix: str = ''


#: Convolutions that have a bias in some layouts and not in others, and the norm that follows; in our names.
BEFORE_NORMS: Names = (
    ('neck.0.downsamp_modules.*.0', 'neck.0.downsamp_modules.*.1'),
    ('neck.0.final_layer.0', 'neck.0.final_layer.1'),
    ('neck.mix.conv', 'neck.mix.bn'),
    ('decode_head.0.convs.0.conv', 'decode_head.0.convs.0.bn'),
    ('decode_head.1.bottleneck.conv', 'decode_head.1.bottleneck.bn'),
)

_ATTENTION = 'decode_head.1.object_context_block'
_THEIR_ATTENTION = 'ocr_distri_head.object_context_block'


def _same(*names: str) -> Names:
    return tuple((name, name) for name in names)


def _conv_norms(theirs: str, ours: str, *, layers: int) -> Names:
    """The authors' ``Sequential(conv, Sequential(bn, relu), conv, ...)`` as mmseg's ``ConvModule``s."""
    names: list[tuple[str, str]] = []
    for i in range(layers):
        module = f'{ours}.{i}' if layers > 1 else ours
        names += [(f'{theirs}.{2 * i}', f'{module}.conv'), (f'{theirs}.{2 * i + 1}.0', f'{module}.bn')]
    return tuple(names)


_AUTHORS_CLASSIFIER: Names = (
    ('incre_modules', 'neck.0.incre_modules'),
    ('downsamp_modules', 'neck.0.downsamp_modules'),
    ('final_layer.0', 'neck.0.final_layer.0'),
    ('final_layer.1', 'neck.0.final_layer.1'),
    ('classifier', 'head.fc'),
)
_AUTHORS_SEGMENTER: Names = (
    ('last_layer.0', 'neck.mix.conv'),
    ('last_layer.1', 'neck.mix.bn'),
    ('last_layer.3', 'decode_head.conv_seg'),
)
_AUTHORS_OCR: Names = (
    ('aux_head.0', 'decode_head.0.convs.0.conv'),
    ('aux_head.1', 'decode_head.0.convs.0.bn'),
    ('aux_head.3', 'decode_head.0.conv_seg'),
    ('conv3x3_ocr.0', 'decode_head.1.bottleneck.conv'),
    ('conv3x3_ocr.1', 'decode_head.1.bottleneck.bn'),
    *_conv_norms(f'{_THEIR_ATTENTION}.f_pixel', f'{_ATTENTION}.query_project', layers=2),
    *_conv_norms(f'{_THEIR_ATTENTION}.f_object', f'{_ATTENTION}.key_project', layers=2),
    *_conv_norms(f'{_THEIR_ATTENTION}.f_down', f'{_ATTENTION}.value_project', layers=1),
    *_conv_norms(f'{_THEIR_ATTENTION}.f_up', f'{_ATTENTION}.out_project', layers=1),
    *_conv_norms('ocr_distri_head.conv_bn_dropout', f'{_ATTENTION}.bottleneck', layers=1),
    ('cls_head', 'decode_head.1.conv_seg'),
)
_MMSEG_SEGMENTER: Names = (
    ('decode_head.convs.0.conv', 'neck.mix.conv'),
    ('decode_head.convs.0.bn', 'neck.mix.bn'),
    ('decode_head.conv_seg', 'decode_head.conv_seg'),
)
_OUR_SEGMENTER = _same('neck.mix.conv', 'neck.mix.bn', 'decode_head.conv_seg')
_OCR = _same('decode_head.0', 'decode_head.1')
_PYRAMID = _same('neck.reduction_conv', 'neck.fpn_convs')
_KEYPOINTS = _same('head.final_layer')


def _mmpretrain_classifier(neck: str) -> Names:
    return (
        (f'{neck}.increase_layers', 'neck.0.incre_modules'),
        (f'{neck}.downsample_layers.*.conv', 'neck.0.downsamp_modules.*.0'),
        (f'{neck}.downsample_layers.*.bn', 'neck.0.downsamp_modules.*.1'),
        (f'{neck}.final_layer.conv', 'neck.0.final_layer.0'),
        (f'{neck}.final_layer.bn', 'neck.0.final_layer.1'),
        ('head.fc', 'head.fc'),
    )


def _our_classifier(neck: str) -> Names:
    parts = ('incre_modules', 'downsamp_modules', 'final_layer')
    return (*((f'{neck}.{part}', f'neck.0.{part}') for part in parts), ('head.fc', 'head.fc'))


#: How plain state dicts differ from what MMEngine writes, and those with heads of the authors'.
_PLAIN: dict[str, Any] = {'namespaced': False, 'keeps_others': False}
_AUTHORS: dict[str, Any] = {**_PLAIN, 'biased': True}
_AUTHORS_SEG: dict[str, Any] = {**_AUTHORS, 'upsampling': BILINEAR_ALIGNED, 'prefix': 'model.'}

_OFFICIAL_CLASSIFIER = Layout(
    'official',
    'classification',
    'HRNet-Image-Classification or timm (or an ImageNet file converted from them)',
    _AUTHORS_CLASSIFIER,
    NEAREST,
    marks=('incre_modules', 'downsamp_modules'),
    **_AUTHORS,
)
_CLASSIFIERS: tuple[Layout, ...] = (
    _OFFICIAL_CLASSIFIER,
    replace(_OFFICIAL_CLASSIFIER, publisher='timm', description='timm'),
    *(
        Layout(
            'hrnet_mm',
            'classification',
            f'hrnet_mm classification{note}',
            _our_classifier(neck),
            marks=(f'{neck}.incre_modules',),
            biased=True,
        )
        for neck, note in (('neck.0', ''), ('neck', ', neck alone'))
    ),
    *(
        Layout(
            'mmpretrain',
            'classification',
            f'mmpretrain{note}',
            _mmpretrain_classifier(neck),
            NEAREST,
            marks=(f'{neck}.increase_layers',),
        )
        for neck, note in (('neck.0', ''), ('neck', ', neck alone'))
    ),
)
_OCR_MARKS = ('decode_head.1.object_context_block',)
_SEGMENTERS: tuple[Layout, ...] = (
    Layout(
        'official',
        'ocr',
        'HRNet-Semantic-Segmentation with OCR',
        _AUTHORS_OCR,
        marks=('ocr_distri_head', 'conv3x3_ocr'),
        **_AUTHORS_SEG,
    ),
    Layout('mmseg', 'ocr', 'mmseg or hrnet_mm with OCR', _OCR, BILINEAR, _OCR_MARKS),
    Layout('hrnet_mm', 'ocr', 'hrnet_mm with OCR', _OCR, None, _OCR_MARKS),
    Layout('official', 'segmentation', 'HRNet-Semantic-Segmentation', _AUTHORS_SEGMENTER, **_AUTHORS_SEG),
    Layout(
        'hrnet_mm', 'segmentation', 'hrnet_mm segmentation', _OUR_SEGMENTER, None, ('neck.mix',), biased=True
    ),
    Layout('mmseg', 'segmentation', 'mmseg', _MMSEG_SEGMENTER, BILINEAR, ('decode_head.convs.0',)),
)
_POSE: tuple[Layout, ...] = (
    Layout(
        'official',
        'keypoints',
        'deep-high-resolution-net.pytorch (pose)',
        (('final_layer', 'head.final_layer'),),
        NEAREST,
        **_PLAIN,
    ),
    Layout('mmpose', 'keypoints', 'mmpose or hrnet_mm', _KEYPOINTS, NEAREST),
    Layout(
        'mmpose',
        'keypoints',
        'mmpose before 1.0',
        (('keypoint_head.final_layer', 'head.final_layer'),),
        NEAREST,
        keeps_others=False,
    ),
    Layout('hrnet_mm', 'keypoints', 'hrnet_mm keypoints', _KEYPOINTS),
)
_DETECTORS: tuple[Layout, ...] = (
    Layout(
        'official',
        'detection',
        'HRNet-Object-Detection or mmdet before 2.0',
        _PYRAMID,
        NEAREST,
        marks=('bbox_head.fc_cls', 'bbox_head.0.fc_cls', 'mask_head.convs'),
        keeps_others=False,
    ),
    Layout('mmdet', 'detection', 'mmdet or hrnet_mm', _PYRAMID, NEAREST),
    Layout('hrnet_mm', 'detection', 'hrnet_mm detection', _PYRAMID),
)
_CONVERTED = 'an ImageNet file converted for mm'
_BODIES: tuple[Layout, ...] = (
    Layout('official', 'body', 'a backbone alone', **_PLAIN),
    Layout('official', 'body', _CONVERTED, upsampling=NEAREST, marks=('head.0.0',), **_PLAIN),
    Layout('timm', 'body', 'a backbone alone', **_PLAIN),
    *(
        Layout(publisher, 'body', f'a backbone alone, as {publisher} keeps it')
        for publisher in ('hrnet_mm', 'mmpose', 'mmseg', 'mmdet', 'mmpretrain')
    ),
)

#: The first row whose marks a file shows is its layout; the first row of a publisher and task is written.
LAYOUTS: tuple[Layout, ...] = (*_CLASSIFIERS, *_SEGMENTERS, *_POSE, *_DETECTORS, *_BODIES)

#: What ``--to`` accepts.
PUBLISHERS = ('hrnet_mm', 'mmpose', 'mmseg', 'mmdet', 'mmpretrain', 'timm', 'official')


def layout_to_write(publisher: str, task: str) -> Layout:
    """The row of ``publisher`` for ``task``, or its backbone alone where it has no such head.

    Raises:
        ValueError: unknown publisher.
    """
    if publisher not in PUBLISHERS:
        raise ValueError(f'to={publisher!r} is unknown; expected one of {", ".join(PUBLISHERS)}')
    rows = {row.task: row for row in reversed(LAYOUTS) if row.publisher == publisher}
    return rows.get(task, rows['body'])
