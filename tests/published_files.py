"""Tiny networks as every publisher lays them out, and the files they would write.

The OpenMMLab packages and timm build their own; of the authors' repositories, which are no packages, the
heads are put together here from what they publish, on a body that is mmsegmentation's or mmpose's own.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from peers import TINY, TINY_CHANNELS, build_peer, in_scope, models_of, scramble, tiny
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 5
WIDTH = sum(TINY_CHANNELS)
OCR_CHANNELS, KEY_CHANNELS = 12, 6
CHANNELS = list(TINY_CHANNELS)


@dataclass(frozen=True)
class Specimen:
    """A network, how it is run, and what its publisher writes into a file."""

    module: nn.Module
    run: Callable[[Tensor], Any]
    content: Callable[[], Any]

    def save(self, path: Path) -> Path:
        torch.save(self.content(), path)
        return path


@cache
def specimen(publisher: str, task: str, seed: int = 0) -> Specimen:
    """A scrambled network in double precision and eval mode; do not change that of seed 0."""
    made = BUILDERS[publisher, task]()
    scramble(made.module, seed).double().eval()
    return made


def mm_model(scope: str, type: str, **cfg: Any) -> Specimen:
    with in_scope(scope), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # mmseg announces changes to its losses
        module = models_of(scope).build(dict(type=type, **copy.deepcopy(cfg)))
    return Specimen(module, lambda x: module(x, None, mode='tensor'), lambda: trained_by_mm(module))


def trained_by_mm(module: nn.Module) -> dict[str, Any]:
    """As MMEngine's CheckpointHook writes."""
    return dict(meta=dict(epoch=3), state_dict=module.state_dict(), optimizer=dict(), message_hub=dict())


# -- classification -------------------------------------------------------------------------------


def timm_classifier() -> Specimen:
    from timm.models.hrnet import HighResolutionNet

    cfg: dict[str, Any] = {
        name: {**stage, 'block_type': stage['block'], 'fuse_method': 'SUM'} for name, stage in TINY.items()
    }
    module = HighResolutionNet({**cfg, 'stem_width': 64}, num_classes=CLASSES)
    return Specimen(module, module, module.state_dict)


def mmpretrain_classifier(backbone: str, neck: str) -> Specimen:
    return mm_model(
        'mmpretrain',
        'ImageClassifier',
        backbone=dict(type=backbone, extra=tiny()),
        neck=[dict(type=neck, in_channels=CHANNELS), dict(type='GlobalAveragePooling')],
        head=dict(type='LinearClsHead', in_channels=2048, num_classes=CLASSES),
    )


# -- keypoints ------------------------------------------------------------------------------------


class Official(nn.Module):
    """A body and one head: the authors' for poses on its finest stream, for segmentation on all of them."""

    def __init__(self, scope: str, **head: nn.Module) -> None:
        super().__init__()
        self.body = build_peer(scope)
        ((self.head, module),) = head.items()
        self.add_module(self.head, module)

    def forward(self, x: Tensor) -> Tensor:
        streams = self.body(x)
        features = streams[0] if len(streams) == 1 else concatenated(streams)
        return self.get_submodule(self.head)(features)


def official_pose() -> Specimen:
    module = Official('mmpose', final_layer=nn.Conv2d(TINY_CHANNELS[0], CLASSES, kernel_size=1))
    return Specimen(module, module, lambda: without('body.', module))


def mmpose_estimator(backbone: str) -> Specimen:
    return mm_model(
        'mmpose',
        'TopdownPoseEstimator',
        backbone=dict(type=backbone, extra=tiny()),
        head=dict(
            type='HeatmapHead',
            in_channels=TINY_CHANNELS[0],
            out_channels=CLASSES,
            deconv_out_channels=None,
            loss=dict(type='KeypointMSELoss'),
        ),
    )


# -- segmentation ---------------------------------------------------------------------------------


def concatenated(streams: tuple[Tensor, ...]) -> Tensor:
    size = streams[0].shape[2:]
    resized = [F.interpolate(x, size=size, mode='bilinear', align_corners=False) for x in streams[1:]]
    return torch.cat([streams[0], *resized], dim=1)


def last_layer() -> nn.Sequential:
    """The head of the authors' HRNetV2."""
    return nn.Sequential(
        nn.Conv2d(WIDTH, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU(), nn.Conv2d(WIDTH, CLASSES, 1)
    )


def conv_norms(*channels: int) -> nn.Sequential:
    """1x1 convolutions without bias, each followed by norm and ReLU in a ``Sequential`` of their own."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [
            nn.Conv2d(before, after, 1, bias=False),
            nn.Sequential(nn.BatchNorm2d(after), nn.ReLU()),
        ]
    return nn.Sequential(*layers)


class OfficialOCR(nn.Module):
    """A body and the parts of the authors' OCR head; OCR paper (arXiv 1909.11065), figure 3."""

    def __init__(self) -> None:
        super().__init__()
        wide, narrow = OCR_CHANNELS, KEY_CHANNELS
        self.body = build_peer('mmseg')
        self.aux_head = last_layer()
        self.conv3x3_ocr = nn.Sequential(
            nn.Conv2d(WIDTH, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU()
        )
        attention = nn.Module()
        attention.f_pixel = conv_norms(wide, narrow, narrow)
        attention.f_object = conv_norms(wide, narrow, narrow)
        attention.f_down = conv_norms(wide, narrow)
        attention.f_up = conv_norms(narrow, wide)
        self.ocr_distri_head = nn.Module()
        self.ocr_distri_head.object_context_block = attention
        self.ocr_distri_head.conv_bn_dropout = conv_norms(2 * wide, wide)
        self.cls_head = nn.Conv2d(wide, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = concatenated(self.body(x))
        regions = self.aux_head(features).flatten(2).softmax(dim=2)
        pixels = self.conv3x3_ocr(features)
        objects = torch.einsum('nkp,ncp->nck', regions, pixels.flatten(2)).unsqueeze(3)
        attention = self.ocr_distri_head.object_context_block
        query = attention.f_pixel(pixels).flatten(2)
        key, value = attention.f_object(objects).flatten(2), attention.f_down(objects).flatten(2)
        weights = torch.einsum('ncp,nck->npk', query, key) * KEY_CHANNELS**-0.5
        context = torch.einsum('npk,nck->ncp', weights.softmax(dim=2), value)
        context = attention.f_up(context.unflatten(2, pixels.shape[2:]))
        return self.cls_head(self.ocr_distri_head.conv_bn_dropout(torch.cat([context, pixels], dim=1)))


def official_segmenter(module: nn.Module) -> Specimen:
    def content() -> dict[str, Tensor]:
        body = {f'model.{key}': value for key, value in without('body.', module).items()}
        return {**body, 'loss.criterion.weight': torch.ones(CLASSES)}

    return Specimen(module, module, content)


def mmseg_segmenter(type: str, *, ours: bool, mix: bool, **kwargs: Any) -> Specimen:
    neck = dict(type='HRNetV2Neck', in_channels=CHANNELS, mix=mix)
    backbone = dict(type='HRNetBackbone' if ours else 'HRNet', extra=tiny())
    return mm_model('mmseg', type, backbone=backbone, neck=neck if ours else None, **kwargs)


def seg_head(type: str, *, ours: bool, **kwargs: Any) -> dict[str, Any]:
    """On what our neck concatenates, or on the body's streams."""
    streams = dict(in_channels=CHANNELS, in_index=(0, 1, 2, 3), input_transform='resize_concat')
    inputs = dict(in_channels=WIDTH, in_index=0) if ours else streams
    common = dict(dropout_ratio=0, num_classes=CLASSES, norm_cfg=dict(type='BN'), align_corners=False)
    return dict(type=type, **inputs, **common, **kwargs)


def fcn_head(*, ours: bool, num_convs: int) -> dict[str, Any]:
    kwargs = dict(channels=WIDTH, kernel_size=1, concat_input=False, num_convs=num_convs)
    return seg_head('FCNHead', ours=ours, **kwargs)


def mmseg_plain(*, ours: bool) -> Specimen:
    head = fcn_head(ours=ours, num_convs=0 if ours else 1)
    return mmseg_segmenter('EncoderDecoder', ours=ours, mix=True, decode_head=head)


def mmseg_ocr(*, ours: bool) -> Specimen:
    ocr = seg_head('OCRHead', ours=ours, channels=OCR_CHANNELS, ocr_channels=KEY_CHANNELS)
    heads = dict(num_stages=2, decode_head=[fcn_head(ours=ours, num_convs=1), ocr])
    made = mmseg_segmenter('CascadeEncoderDecoder', ours=ours, mix=False, **heads)
    module: Any = made.module

    def run(x: Tensor) -> Tensor:
        features = module.extract_feat(x)
        return module.decode_head[1](features, module.decode_head[0](features))

    return Specimen(module, run, made.content)


# -- detection ------------------------------------------------------------------------------------


def detector(backbone: str, neck: str, *, old: bool = False) -> Specimen:
    """Body and pyramid; of the detector's own heads only some weights."""
    module = nn.ModuleDict()
    with in_scope('mmdet'):
        models = models_of('mmdet')
        module['backbone'] = models.build(dict(type=backbone, extra=tiny(), norm_eval=False))
        module['neck'] = models.build(dict(type=neck, in_channels=CHANNELS, out_channels=8))
    module['rpn_head'] = nn.ModuleDict(dict(rpn_conv=nn.Conv2d(8, 8, 3)))
    box_head = nn.ModuleDict(dict(fc_cls=nn.Linear(8, CLASSES)))
    module.update(dict(bbox_head=box_head) if old else dict(roi_head=nn.ModuleDict(dict(bbox_head=box_head))))
    return Specimen(module, lambda x: module['neck'](module['backbone'](x)), lambda: trained_by_mm(module))


def without(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in module.state_dict().items()}


BUILDERS: dict[tuple[str, str], Callable[[], Specimen]] = {
    ('timm', 'classification'): timm_classifier,
    ('official', 'classification'): timm_classifier,  # the same code, the same keys
    ('mmpretrain', 'classification'): lambda: mmpretrain_classifier('HRNet', 'HRFuseScales'),
    ('hrnet_mm', 'classification'): lambda: mmpretrain_classifier('HRNetBackbone', 'HRNetClassificationNeck'),
    ('official', 'keypoints'): official_pose,
    ('mmpose', 'keypoints'): lambda: mmpose_estimator('HRNet'),
    ('hrnet_mm', 'keypoints'): lambda: mmpose_estimator('HRNetBackbone'),
    ('official', 'segmentation'): lambda: official_segmenter(Official('mmseg', last_layer=last_layer())),
    ('mmseg', 'segmentation'): lambda: mmseg_plain(ours=False),
    ('hrnet_mm', 'segmentation'): lambda: mmseg_plain(ours=True),
    ('official', 'ocr'): lambda: official_segmenter(OfficialOCR()),
    ('mmseg', 'ocr'): lambda: mmseg_ocr(ours=False),
    ('hrnet_mm', 'ocr'): lambda: mmseg_ocr(ours=True),
    ('official', 'detection'): lambda: detector('HRNet', 'HRFPN', old=True),
    ('mmdet', 'detection'): lambda: detector('HRNet', 'HRFPN'),
    ('hrnet_mm', 'detection'): lambda: detector('HRNetBackbone', 'hrnet_mm.HRFPN'),
}


def pairs() -> list[tuple[str, str, str]]:
    """``(task, source, target)`` for every conversion whose both ends have the head."""
    return [
        (task, source, target)
        for source, task in BUILDERS
        for target, other in BUILDERS
        # timm's is the authors' code, once there and back is enough
        if other == task
        and source != target
        and ('timm' not in (source, target) or 'hrnet_mm' in (source, target))
    ]
