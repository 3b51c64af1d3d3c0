"""A model without its data: what it convolves and multiplies, run on empty images, heads included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config.build import image_channels
from ..config.errors import ConfigError, one_line

#: Heads on RoIs that can be run without boxes: all they do is call their box, mask and semantic heads.
_ROI_HEADS = ('StandardRoIHead', 'CascadeRoIHead', 'HybridTaskCascadeRoIHead')


def auxiliary_heads(model: nn.Module) -> list[Any]:
    """Heads that only training runs, such as those that supervise an inner layer of a segmentor."""
    heads = getattr(model, 'auxiliary_head', None)
    return [] if heads is None else _as_list(heads)


def has_rois(model: nn.Module) -> bool:
    """Whether the model looks at its features a second time, RoI by RoI."""
    return hasattr(model, 'roi_head')


def default_rois(model: Any, *, training: bool = False) -> int | None:
    """RoIs per image that the config hands to its box head, ``None`` where there is none.

    Raises:
        ConfigError: if the config doesn't say, or its box head can't be run without boxes.
    """
    if not has_rois(model):
        return None
    kind = type(model.roi_head).__name__
    if kind not in _ROI_HEADS:
        raise ConfigError(key='model.roi_head.type', value=kind, expected=f'one of {", ".join(_ROI_HEADS)}')
    if not model.with_rpn:
        raise ConfigError(key='model.rpn_head', value=None, expected='an RPN, which chooses the RoIs')
    return int(_sampler(model).num if training else model.test_cfg.rpn.max_per_img)


def empty_image(model: nn.Module, shape: Sequence[int], *, batch: int = 1) -> Tensor:
    """``(batch, C, H, W)`` zeros as the model's first convolution takes them, on the model's device."""
    device = next((p.device for p in model.parameters()), torch.device('meta'))
    return torch.zeros(batch, image_channels(model), *shape, device=device)


def run(model: nn.Module, images: Tensor, rois: int | None = None) -> Any:
    """Everything that the model convolves and multiplies, heads included.

    A model in train mode runs its auxiliary heads too. Losses, and what turns outputs into results (scores
    resized, boxes chosen), are left out.

    Args:
        model: In eval or in train mode.
        images: ``(N, 3, H, W)``, without values if on the meta device.
        rois: RoIs per image for box heads; choosing them needs numbers, so that as many blank cut-outs
            stand in for them.

    Returns:
        The heads' outputs: tensors, nested as they come.

    Raises:
        ConfigError: if the model can't be run without data.
    """
    try:
        if has_rois(model):
            return _run_two_stage(model, images, rois or 0)
        if model.training and auxiliary_heads(model):
            return _run_segmentor(model, images)
        return model(images, None, mode='tensor')
    except ConfigError:
        raise
    except Exception as error:  # anything a model may raise
        shape = 'x'.join(map(str, images.shape[2:]))
        raise ConfigError(
            key='model.type',
            value=type(model).__name__,
            expected=f'a model that can run on an empty image of {shape} ({one_line(error)})',
        ) from error


def _run_segmentor(model: Any, images: Tensor) -> list[Any]:
    """A segmentor in training: its decode heads, each given the one before's output, and the auxiliary."""
    features = model.extract_feat(images)
    outputs: list[Any] = []
    for head in _as_list(model.decode_head):
        outputs.append(head(features, *outputs[-1:]))
    return outputs + [head(features) for head in auxiliary_heads(model)]


def _run_two_stage(model: Any, images: Tensor, rois: int) -> list[Any]:
    features, roi_head = model.extract_feat(images), model.roi_head
    outputs = [model.rpn_head(features)]
    if getattr(roi_head, 'with_semantic', False):
        outputs.append(roi_head.semantic_head(features))
    outputs += _run_on_rois(roi_head, 'bbox', features, rois * len(images))
    if roi_head.with_mask:
        # mask heads see the positive RoIs in training, and those kept as results in tests
        share = _sampler(model).pos_fraction if model.training else None
        masks = int(model.test_cfg.rcnn.max_per_img if share is None else rois * share)
        outputs += _run_on_rois(roi_head, 'mask', features, masks * len(images))
    return outputs


def _sampler(model: Any) -> Any:
    """What chooses RoIs in training; a cascade's first stage speaks for all."""
    rcnn = model.train_cfg.rcnn
    return (rcnn[0] if isinstance(rcnn, Sequence) else rcnn).sampler


def _run_on_rois(roi_head: Any, kind: str, features: Sequence[Tensor], rois: int) -> list[Any]:
    """Run the box or mask heads, a cascade's all, on cut-outs of the features."""
    heads, extractors = (
        _as_list(getattr(roi_head, name)) for name in (f'{kind}_head', f'{kind}_roi_extractor')
    )
    linked = kind == 'mask' and getattr(roi_head, 'mask_info_flow', False)
    outputs: list[Any] = []
    for head, extractor in zip(heads, extractors, strict=True):
        height, width = extractor.roi_layers[0].output_size
        shape = (rois, extractor.out_channels, height, width)
        cut_outs = _CutOuts.apply(shape, *features[: extractor.num_inputs])
        if roi_head.with_shared_head:
            cut_outs = roi_head.shared_head(cut_outs)
        # HTC's mask heads return [masks, features] and take the features of the one before
        before = [outputs[-1][1]] if linked and outputs else []
        outputs.append(head(cut_outs, *before))
    return outputs


class _CutOuts(torch.autograd.Function):
    """RoIAlign's tensors without its work: blank cut-outs forward, a blank gradient per level backward."""

    @staticmethod
    def forward(ctx: Any, shape: tuple[int, ...], *features: Tensor) -> Tensor:
        ctx.shapes = [level.shape for level in features]
        return features[0].new_zeros(shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return (None, *(grad.new_zeros(shape) for shape in ctx.shapes))


def _as_list(module: nn.Module) -> list[Any]:
    return list(module) if isinstance(module, nn.ModuleList) else [module]
