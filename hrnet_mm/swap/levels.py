"""The feature maps that a backbone gives: their channels and strides."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..models.arch import resolve_arch
from .building import build_on
from .old_weights import drop_weights
from .refusal import SwapRefused

_SIDE = 256  # pixels: a power of two, so that every stride up to it divides it


@dataclass(frozen=True)
class Levels:
    """Feature maps in the order a backbone gives them.

    Attributes:
        channels: Channels of each map.
        strides: Image pixels per map pixel of each map.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]


def hrnet_levels(arch: str) -> Levels:
    """The four streams of a named HRNet: C, 2C, 4C, 8C at strides 4, 8, 16, 32."""
    return Levels(channels=resolve_arch(arch)[-1].out_channels, strides=(4, 8, 16, 32))


def backbone_levels(backbone: Mapping[str, Any], *, scope: str, part: str = 'model.backbone') -> Levels:
    """What a backbone of a config gives for a square image, found by building it without its weights.

    Args:
        backbone: The backbone's dict.
        scope: The codebase it is built in.
        part: Its key in the config, for the refusal.

    Raises:
        SwapRefused: it does not build or run on an image alone, or its outputs are no feature maps.
    """
    cfg = _bearable(without_weights(backbone))
    channels = cfg['in_channels'] if isinstance(cfg.get('in_channels'), int) else 3
    side = _side(cfg)
    try:
        outputs = _run(cfg, scope=scope, channels=channels, side=side)
    except Exception as error:  # backbones are other people's code and fail in any way
        raise SwapRefused(
            part=part, reason=f'the backbone {cfg.get("type")} does not run on an image alone: {error}'
        ) from error
    maps = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not all(isinstance(x, Tensor) and x.ndim == 4 and x.shape[-1] for x in maps):
        raise SwapRefused(part=part, reason=f'the backbone {cfg.get("type")} gives no feature maps')
    return Levels(
        channels=tuple(int(x.shape[1]) for x in maps),
        strides=tuple(round(side / x.shape[-1]) for x in maps),
    )


def _bearable(cfg: dict[str, Any]) -> dict[str, Any]:
    """Without what changes no shape and does not run everywhere.

    PyTorch refuses Caffe's folded norms (``eps=0``), the meta device deformable convolutions.
    """
    if isinstance(cfg.get('norm_cfg'), dict):
        cfg['norm_cfg'].pop('eps', None)
    return {key: value for key, value in cfg.items() if key not in ('dcn', 'stage_with_dcn')}


def without_weights(module: Mapping[str, Any]) -> dict[str, Any]:
    """A plain copy of a module's dict whose pretrained weights are dropped."""
    cfg = copy.deepcopy(dict(module))
    cfg.pop('pretrained', None)
    drop_weights(cfg)
    return cfg


def _run(cfg: dict[str, Any], *, scope: str, channels: int, side: int) -> Any:
    """Outputs on the meta device, or real ones where a backbone computes with values."""
    try:
        return _outputs(cfg, scope=scope, size=(channels, side, side), device='meta')
    except Exception:
        return _outputs(cfg, scope=scope, size=(channels, side, side), device='cpu')


def _outputs(cfg: dict[str, Any], *, scope: str, size: tuple[int, int, int], device: str) -> Any:
    backbone = build_on(cfg, scope=scope, device=device)
    backbone.eval()
    with torch.no_grad(), torch.device(device):
        return backbone(torch.zeros(1, *size))


def _side(cfg: Mapping[str, Any]) -> int:
    """The image's side, which some transformers fix."""
    size = cfg.get('img_size', _SIDE)
    return int(max(size)) if isinstance(size, (list, tuple)) else int(size)
