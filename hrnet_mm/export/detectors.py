"""A two-stage detector whole, from an image to its boxes, in operators that ONNX has.

mmdet's own ``predict`` cannot be recorded: it branches on how many boxes there are, and mmcv's RoIAlign and
NMS are no ONNX operators (torchvision's become ``RoiAlign`` and ``NonMaxSuppression``). Here the same steps
are written without branches; heads, anchors and box coders are the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Classes that the steps below are those of.
_KNOWN: Final = frozenset(
    {
        'RPNHead',
        'AnchorGenerator',
        'DeltaXYWHBBoxCoder',
        'StandardRoIHead',
        'CascadeRoIHead',
        'SingleRoIExtractor',
        'ConvFCBBoxHead',
        'Shared2FCBBoxHead',
        'Shared4Conv1FCBBoxHead',
        'FCNMaskHead',
    }
)
_NMS_KEYS: Final = frozenset({'type', 'iou_threshold'})
_LEAST_SHARE = 0.9


class WholeDetector(nn.Module):
    """``(1, C, H, W)`` images, normalised already, to what mmdet's ``predict`` finds in them.

    ``boxes``, ``(n, 4)``, x1 y1 x2 y2 in pixels of the input; ``scores``, ``(n,)``; ``labels``, ``(n,)``,
    int64; with a mask head ``masks``, ``(n, h, w)``, the probability of each part of the box. The surest come
    first. Boxes end at the input's edges, not at those of an image that was padded to it.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Run the model."""
        features = self.model.extract_feat(images)
        edges = torch.stack([torch.as_tensor(images.shape[axis]) for axis in (3, 2, 3, 2)]).to(images)
        rois = self._proposals(features, edges)
        found = self._boxes(features, rois, edges)
        if self.model.roi_head.with_mask:
            found['masks'] = self.masks(features, found['boxes'], found['labels'])
        return found

    def _proposals(self, features: Sequence[Tensor], edges: Tensor) -> Tensor:
        """What the RPN proposes: ``(n, 4)``."""
        head, cfg = self.model.rpn_head, self.model.rpn_head.test_cfg
        maps = [[level[0].permute(1, 2, 0) for level in part] for part in head(features)]
        anchors = head.prior_generator.grid_priors([x.shape[:2] for x in maps[0]], device=edges.device)
        most = cfg.get('nms_pre', -1)
        most = most if most > 0 else None
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for level, (logits, deltas, priors) in enumerate(zip(*maps, anchors, strict=True)):
            logits = logits.reshape(-1, head.cls_out_channels)
            share = logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)
            scores, order = share[:, 0].sort(descending=True)
            order = order[:most]
            boxes = _decoded(head.bbox_coder, priors[order], deltas.reshape(-1, 4)[order], edges)
            parts.append((boxes[:, 0], scores[:most], torch.full_like(order, level)))
        boxes, scores, levels = (torch.cat(part) for part in zip(*parts, strict=True))
        least = cfg.get('min_bbox_size', -1)
        if least >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > least).all(dim=1)
            boxes, scores, levels = boxes[large], scores[large], levels[large]
        return boxes[_kept(boxes, scores, levels, cfg.nms)[: cfg.max_per_img]]

    def _boxes(self, features: Sequence[Tensor], rois: Tensor, edges: Tensor) -> dict[str, Tensor]:
        """The RoI head's boxes; of a cascade each stage looks into those of the one before it."""
        cfg, stages = self.model.roi_head.test_cfg, list(_stages(self.model.roi_head, 'bbox'))
        logits: list[Tensor] = []
        for head, extractor in stages:
            scores, deltas = head(_pooled(extractor, features, rois))
            logits.append(scores)
            boxes = _decoded(head.bbox_coder, rois, deltas, edges)
            if head is not stages[-1][0]:
                label = scores[:, :-1].argmax(dim=1)
                rois = boxes[:, 0] if head.reg_class_agnostic else _of_class(boxes, label)
        share = torch.stack(logits).mean(dim=0).softmax(dim=-1)[:, :-1]
        rows, labels = (share > cfg.score_thr).nonzero().unbind(dim=1)
        boxes, scores = boxes.expand(-1, share.shape[1], 4)[rows, labels], share[rows, labels]
        kept = _kept(boxes, scores, labels, cfg.nms)[: cfg.max_per_img]
        return {'boxes': boxes[kept], 'scores': scores[kept], 'labels': labels[kept]}

    def masks(self, features: Sequence[Tensor], boxes: Tensor, labels: Tensor) -> Tensor:
        """The probability of each part of ``(n, 4)`` boxes: ``(n, h, w)``; of a cascade the stages' mean."""
        stages = list(_stages(self.model.roi_head, 'mask'))
        shares = [head(_pooled(extractor, features, boxes)).sigmoid() for head, extractor in stages]
        share = torch.stack(shares).mean(dim=0)
        return share[:, 0] if stages[-1][0].class_agnostic else _of_class(share, labels)


def unknown_part(model: Any) -> str | None:
    """What of a two-stage detector's way from features to boxes is not known here, None where all is."""
    roi_head = model.roi_head
    if not model.with_rpn:
        return 'it has no RPN'
    parts: list[Any] = [roi_head, model.rpn_head, model.rpn_head.prior_generator, model.rpn_head.bbox_coder]
    for kind in ('bbox', 'mask') if roi_head.with_mask else ('bbox',):
        for head, extractor in _stages(roi_head, kind):
            parts += [head, extractor, *([head.bbox_coder] if kind == 'bbox' else [])]
    for name in (type(part).__name__ for part in parts):
        if name not in _KNOWN:
            return name
    if roi_head.with_shared_head:
        return type(roi_head.shared_head).__name__
    for cfg in (model.rpn_head.test_cfg, roi_head.test_cfg):
        if cfg.nms.get('type', 'nms') != 'nms' or not _NMS_KEYS.issuperset(cfg.nms):
            return f'nms={dict(cfg.nms)}'
    losses = (getattr(head, 'loss_cls', None) for head, _ in _stages(roi_head, 'bbox'))
    return next((type(loss).__name__ for loss in losses if getattr(loss, 'custom_cls_channels', False)), None)


def predict_whole(model: Any, images: Tensor) -> dict[str, Tensor]:
    """As :class:`WholeDetector`, but boxes by mmdet's own ``predict``: the truth for a file."""
    from mmdet.structures import DetDataSample

    shape = tuple(images.shape[2:])
    meta = {'img_shape': shape, 'ori_shape': shape, 'batch_input_shape': shape, 'scale_factor': (1.0, 1.0)}
    (sample,) = model.predict(images, [DetDataSample(metainfo=meta)], rescale=False)
    found = sample.pred_instances
    outputs = {'boxes': found.bboxes, 'scores': found.scores, 'labels': found.labels}
    if model.roi_head.with_mask:
        features = model.extract_feat(images)
        outputs['masks'] = WholeDetector(model).masks(features, found.bboxes, found.labels)
    return outputs


def same_detections(
    outputs: Mapping[str, Tensor], truth: Mapping[str, Tensor], *, tolerance: float
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None:
    """The detections that both have, in one order; None where they are less than nine in ten of either's.

    Roundings let equal scores change places, and leave a box in one of the two alone that overlaps another by
    just the threshold of NMS, or has just the least score.
    """
    from scipy.optimize import linear_sum_assignment

    unit = truth['boxes'].amax() * tolerance if len(truth['boxes']) else 1
    boxes = torch.cdist(truth['boxes'], outputs['boxes'], p=torch.inf) / unit
    scores = (truth['scores'][:, None] - outputs['scores']).abs() / tolerance
    other = torch.maximum(boxes, scores) > 1
    other |= truth['labels'][:, None] != outputs['labels']
    rows, columns = map(torch.as_tensor, linear_sum_assignment(other))
    same = ~other[rows, columns]
    if 'masks' in truth:
        same &= (truth['masks'][rows] - outputs['masks'][columns]).abs().amax(dim=(1, 2)) <= tolerance
    if same.sum() < _LEAST_SHARE * max(other.shape):
        return None
    rows, columns = rows[same], columns[same]
    return {n: x[columns] for n, x in outputs.items()}, {n: x[rows] for n, x in truth.items()}


def _stages(roi_head: Any, kind: str) -> Iterator[tuple[Any, Any]]:
    """Head and RoI extractor of each stage of a cascade, or of the only one."""
    heads, extractors = getattr(roi_head, f'{kind}_head'), getattr(roi_head, f'{kind}_roi_extractor')
    if isinstance(heads, nn.ModuleList):
        yield from zip(heads, extractors, strict=True)
    else:
        yield heads, extractors


def _decoded(coder: Any, priors: Tensor, deltas: Tensor, edges: Tensor) -> Tensor:
    """``(n, 4 * classes)`` deltas as boxes within the image: ``(n, classes, 4)``."""
    from mmdet.models.task_modules.coders.delta_xywh_bbox_coder import delta2bbox

    limits = {'add_ctr_clamp': coder.add_ctr_clamp, 'ctr_clamp': coder.ctr_clamp}
    boxes = delta2bbox(priors, deltas, coder.means, coder.stds, **limits)
    boxes = boxes.reshape(-1, deltas.shape[1] // 4, 4)
    return torch.minimum(boxes.clamp(min=0), edges) if coder.clip_border else boxes


def _kept(boxes: Tensor, scores: Tensor, groups: Tensor, cfg: Mapping[str, Any]) -> Tensor:
    """Indices of what NMS keeps, the surest first; as in mmcv boxes of other groups are moved away."""
    from torchvision.ops import nms

    largest = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max()  # of no boxes too
    apart = boxes + (groups.to(boxes) * (largest + 1))[:, None]
    kept: Tensor = nms(apart, scores, cfg['iou_threshold'])
    return kept


def _pooled(extractor: Any, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """RoIAlign of each box on the level of its size: ``(n, C, h, w)``."""
    from torchvision.ops import roi_align

    rois = F.pad(boxes, (1, 0))  # of the first image
    levels = extractor.map_roi_levels(rois, extractor.num_inputs)
    places, parts = [], []
    for level, layer in enumerate(extractor.roi_layers):
        places.append((levels == level).nonzero()[:, 0])
        size, scale = layer.output_size, layer.spatial_scale
        parts.append(
            roi_align(features[level], rois[places[-1]], size, scale, layer.sampling_ratio, layer.aligned)
        )
    return torch.cat(parts)[torch.cat(places).argsort()]


def _of_class(values: Tensor, labels: Tensor) -> Tensor:
    """Of ``(n, classes, ...)`` values those of each row's class: ``(n, ...)``."""
    index = labels.reshape(-1, *[1] * (values.ndim - 1)).expand(-1, 1, *values.shape[2:])
    return values.gather(1, index)[:, 0]
