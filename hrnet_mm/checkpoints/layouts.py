"""How every publisher lays HRNet's weights out: one table.

The body's keys are the authors' everywhere. What differs is what stands before them, the head's names,
whether the head's convolutions have a bias before their norm, and how the publisher's fusions upsample
(which no checkpoint records).

Names are prefixes of state-dict keys. Every row renames to the same target: the keys of our own
whole models (``configs/``), whose row therefore renames nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..models.stages import Upsampling

NEAREST = Upsampling('nearest')
BILINEAR = Upsampling('bilinear', align_corners=False)
BILINEAR_ALIGNED = Upsampling('bilinear', align_corners=True)

_MM = ('hrnet_mm', 'mmpose', 'mmseg', 'mmdet', 'mmpretrain')
#: What ``--to`` accepts.
PUBLISHERS = (*_MM, 'timm', 'official')
#: Theirs -> ours.
Names = Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """The weights of one publisher, or of some that write the same, for one task.

    Args:
        publishers: whom ``--to`` names.
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

    publishers: tuple[str, ...]
    task: str
    description: str
    names: Names = field(default_factory=dict)
    upsampling: Upsampling | None = None
    marks: tuple[str, ...] = ()
    biased: bool = False
    namespaced: bool = True
    keeps_others: bool = True
    prefix: str = ''


#: Convolutions that have a bias in some layouts and not in others, and the norm that follows; in our names.
BEFORE_NORMS: Final[Names] = {
    **{f'neck.0.downsamp_modules.{i}.0': f'neck.0.downsamp_modules.{i}.1' for i in range(3)},
    'neck.0.final_layer.0': 'neck.0.final_layer.1',
    'neck.mix.conv': 'neck.mix.bn',
    'decode_head.0.convs.0.conv': 'decode_head.0.convs.0.bn',
    'decode_head.1.bottleneck.conv': 'decode_head.1.bottleneck.bn',
}

_ATTENTION = 'decode_head.1.object_context_block'


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _conv_norms(theirs: str, ours: str, *, layers: int = 1) -> Names:
    """The authors' ``Sequential(conv, Sequential(bn, relu), conv, ...)`` as mmseg's ``ConvModule``s."""
    names: dict[str, str] = {}
    for i in range(layers):
        module = f'{_ATTENTION}.{ours}.{i}' if layers > 1 else f'{_ATTENTION}.{ours}'
        names |= {f'{theirs}.{2 * i}': f'{module}.conv', f'{theirs}.{2 * i + 1}.0': f'{module}.bn'}
    return names


_AUTHORS_CLASSIFIER: Names = {
    'incre_modules': 'neck.0.incre_modules',
    'downsamp_modules': 'neck.0.downsamp_modules',
    'final_layer.0': 'neck.0.final_layer.0',
    'final_layer.1': 'neck.0.final_layer.1',
    'classifier': 'head.fc',
}
#: Of necks that stand alone, and of those in a list, which is how they are written.
_OUR_CLASSIFIER: Names = {
    f'{neck}.{part}': f'neck.0.{part}'
    for neck in ('neck', 'neck.0')
    for part in ('incre_modules', 'downsamp_modules', 'final_layer')
} | _same('head.fc')
_MMPRETRAIN_CLASSIFIER: Names = {
    f'{neck}.{theirs}': f'neck.0.{ours}'
    for neck in ('neck', 'neck.0')
    for theirs, ours in (
        ('increase_layers', 'incre_modules'),
        *((f'downsample_layers.{i}.conv', f'downsamp_modules.{i}.0') for i in range(3)),
        *((f'downsample_layers.{i}.bn', f'downsamp_modules.{i}.1') for i in range(3)),
        ('final_layer.conv', 'final_layer.0'),
        ('final_layer.bn', 'final_layer.1'),
    )
} | _same('head.fc')
_AUTHORS_SEGMENTER: Names = {
    'last_layer.0': 'neck.mix.conv',
    'last_layer.1': 'neck.mix.bn',
    'last_layer.3': 'decode_head.conv_seg',
}
_MMSEG_SEGMENTER: Names = {
    'decode_head.convs.0.conv': 'neck.mix.conv',
    'decode_head.convs.0.bn': 'neck.mix.bn',
    'decode_head.conv_seg': 'decode_head.conv_seg',
}
_AUTHORS_OCR: Names = {
    'aux_head.0': 'decode_head.0.convs.0.conv',
    'aux_head.1': 'decode_head.0.convs.0.bn',
    'aux_head.3': 'decode_head.0.conv_seg',
    'conv3x3_ocr.0': 'decode_head.1.bottleneck.conv',
    'conv3x3_ocr.1': 'decode_head.1.bottleneck.bn',
    'cls_head': 'decode_head.1.conv_seg',
    **_conv_norms('ocr_distri_head.object_context_block.f_pixel', 'query_project', layers=2),
    **_conv_norms('ocr_distri_head.object_context_block.f_object', 'key_project', layers=2),
    **_conv_norms('ocr_distri_head.object_context_block.f_down', 'value_project'),
    **_conv_norms('ocr_distri_head.object_context_block.f_up', 'out_project'),
    **_conv_norms('ocr_distri_head.conv_bn_dropout', 'bottleneck'),
}
_MIXED = _same('neck.mix.conv', 'neck.mix.bn', 'decode_head.conv_seg')
_OCR = _same('decode_head.0', 'decode_head.1')
_POSE: Names = {'final_layer': 'head.final_layer'}
_OLD_POSE: Names = {'keypoint_head.final_layer': 'head.final_layer'}
_PYRAMID = _same('neck.reduction_conv', 'neck.fpn_convs')

#: How plain state dicts differ from what MMEngine writes, and those of the authors' segmentation.
_PLAIN: dict[str, Any] = {'namespaced': False, 'keeps_others': False}
_AUTHORS_SEG: dict[str, Any] = {**_PLAIN, 'upsampling': BILINEAR_ALIGNED, 'biased': True, 'prefix': 'model.'}
_CONVERTED = 'an ImageNet file converted'

#: The first row whose marks a file shows is its layout; the first row of a publisher and task is written.
LAYOUTS: Final[tuple[Layout, ...]] = (
    Layout(
        ('official', 'timm'),
        'classification',
        f'HRNet-Image-Classification or timm (or {_CONVERTED} from them)',
        _AUTHORS_CLASSIFIER,
        NEAREST,
        ('incre_modules', 'downsamp_modules'),
        biased=True,
        **_PLAIN,
    ),
    Layout(
        ('hrnet_mm',),
        'classification',
        'hrnet_mm classification',
        _OUR_CLASSIFIER,
        marks=('neck.0.incre_modules', 'neck.incre_modules'),
        biased=True,
    ),
    Layout(
        ('mmpretrain',),
        'classification',
        'mmpretrain',
        _MMPRETRAIN_CLASSIFIER,
        NEAREST,
        ('neck.0.increase_layers', 'neck.increase_layers'),
    ),
    Layout(
        ('official',),
        'ocr',
        'HRNet-Semantic-Segmentation with OCR',
        _AUTHORS_OCR,
        marks=('ocr_distri_head', 'conv3x3_ocr'),
        **_AUTHORS_SEG,
    ),
    Layout(('mmseg', 'hrnet_mm'), 'ocr', 'mmseg or hrnet_mm with OCR', _OCR, BILINEAR, (_ATTENTION,)),
    Layout(('official',), 'segmentation', 'HRNet-Semantic-Segmentation', _AUTHORS_SEGMENTER, **_AUTHORS_SEG),
    Layout(('hrnet_mm',), 'segmentation', 'hrnet_mm segmentation', _MIXED, marks=('neck.mix',), biased=True),
    Layout(('mmseg',), 'segmentation', 'mmseg', _MMSEG_SEGMENTER, BILINEAR, ('decode_head.convs.0',)),
    Layout(('official',), 'keypoints', 'deep-high-resolution-net.pytorch (pose)', _POSE, NEAREST, **_PLAIN),
    Layout(('mmpose', 'hrnet_mm'), 'keypoints', 'mmpose or hrnet_mm', _same('head.final_layer'), NEAREST),
    Layout(('mmpose',), 'keypoints', 'mmpose before 1.0', _OLD_POSE, NEAREST, keeps_others=False),
    Layout(
        ('official',),
        'detection',
        'HRNet-Object-Detection or mmdet before 2.0',
        _PYRAMID,
        NEAREST,
        ('bbox_head.fc_cls', 'bbox_head.0.fc_cls', 'mask_head.convs'),
        keeps_others=False,
    ),
    Layout(('mmdet', 'hrnet_mm'), 'detection', 'mmdet or hrnet_mm', _PYRAMID, NEAREST),
    Layout(('official', 'timm'), 'body', 'a backbone alone', **_PLAIN),
    Layout(('official',), 'body', f'{_CONVERTED} for mm', {}, NEAREST, ('head.0.0',), **_PLAIN),
    Layout(_MM, 'body', 'a backbone alone, as hrnet_mm keeps it'),
)


def layout_to_write(publisher: str, task: str) -> Layout:
    """The row of ``publisher`` for ``task``, or its backbone alone where it has no such head.

    Raises:
        ValueError: unknown publisher.
    """
    if publisher not in PUBLISHERS:
        raise ValueError(f'to={publisher!r} is unknown; expected one of {", ".join(PUBLISHERS)}')
    rows = {row.task: row for row in reversed(LAYOUTS) if publisher in row.publishers}
    return rows.get(task, rows['body'])
