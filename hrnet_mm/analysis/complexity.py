"""Parameters and multiply-accumulates of a whole model, on the meta device: shapes without numbers.

torch's own counter does the counting. It sees convolutions, matrix products and attention; as in the
published figures, norms, activations, additions and resizing count nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..engine.errors import ConfigError, one_line
from ..engine.scopes import require_scope
from ..models import HRFPN, HRNetV2Neck

#: Heads on RoIs that can be run without boxes: all they do is call their box and mask heads.
_ROI_HEADS = ('StandardRoIHead', 'CascadeRoIHead')


@dataclass(frozen=True)
class Complexity:
    """Size of a model.

    Attributes:
        params: all parameters.
        norm_params: those of them that belong to norms.
        macs: multiply-accumulates for one image, with every concatenation convolved as the papers draw it.
        macs_as_run: the same as our necks do it, which convolve before they upsample where that pays.
        rois: RoIs that box heads were counted on, ``None`` where there are none.
    """

    params: int
    norm_params: int
    macs: int
    macs_as_run: int
    rois: int | None


def measure(cfg: Config, shape: Sequence[int], *, rois: int | None = None) -> Complexity:
    """Build a config's model on the meta device and count.

    Args:
        cfg: a config of any of the four codebases.
        shape: height and width of the image.
        rois: RoIs for box heads; default what the config's RPN hands on (``test_cfg.rpn.max_per_img``).

    Raises:
        ConfigError: if the model can't be built, or can't be run without data.
    """
    model: Any = build_on_meta(cfg)
    height, width = shape
    image = torch.empty(1, _in_channels(model), height, width, device='meta')
    if rois is None and hasattr(model, 'roi_head'):
        rois = int(model.test_cfg.rpn.max_per_img)
    with _concatenating(model):
        macs = _count(model, image, rois)
    return Complexity(
        params=sum(p.numel() for p in model.parameters()),
        norm_params=sum(p.numel() for norm in _norms(model) for p in norm.parameters()),
        macs=macs,
        macs_as_run=_count(model, image, rois),
        rois=rois if hasattr(model, 'roi_head') else None,
    )


def build_on_meta(cfg: Config) -> nn.Module:
    """The config's model in eval mode; it takes no memory and holds no numbers.

    Raises:
        ConfigError: if the config has no model, or one that can't be built.
    """
    if cfg.get('model') is None:
        raise ConfigError(key='model', value=None, expected='a config with a model')
    scope = require_scope(cfg)
    try:
        import_module(f'{scope}.models')
        with (
            DefaultScope.overwrite_default_scope(scope),
            torch.device('meta'),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter('ignore')  # nothing is trained here
            model = MODELS.build(cfg.model)
    except Exception as error:  # anything a model's constructor may raise
        raise _refusal(cfg.model.get('type'), 'be built', error) from error
    # mmpose's HRNet.train() returns nothing, so eval() of a bare one would too
    model.eval()
    return model


def _in_channels(model: nn.Module) -> int:
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels


def _count(model: nn.Module, image: Tensor, rois: int | None) -> int:
    forward = _forward_two_stage if hasattr(model, 'roi_head') else _forward
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            forward(model, image, rois)
    except ConfigError:
        raise
    except Exception as error:  # anything a model may raise
        shape = 'x'.join(map(str, image.shape[2:]))
        raise _refusal(type(model).__name__, f'run on an empty image of {shape}', error) from error
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition each


def _forward(model: nn.Module, image: Tensor, rois: int | None) -> None:
    model(image, None, mode='tensor')


def _forward_two_stage(model: Any, image: Tensor, rois: int | None) -> None:
    """Everything but the choice of RoIs, which needs numbers and costs no convolution."""
    kind = type(model.roi_head).__name__
    if kind not in _ROI_HEADS:
        raise ConfigError(key='model.roi_head.type', value=kind, expected=f'one of {", ".join(_ROI_HEADS)}')
    features = model.extract_feat(image)
    model.rpn_head(features)
    _on_rois(model.roi_head, 'bbox', rois)
    if model.roi_head.with_mask:
        _on_rois(model.roi_head, 'mask', model.test_cfg.rcnn.max_per_img)


def _on_rois(roi_head: nn.Module, kind: str, rois: int | None) -> None:
    """Run the box or mask heads, a cascade's all, on cut-outs of the features."""
    heads, extractors = (
        _as_list(getattr(roi_head, name)) for name in (f'{kind}_head', f'{kind}_roi_extractor')
    )
    for head, extractor in zip(heads, extractors, strict=True):
        size = extractor.roi_layers[0].output_size
        head(torch.empty(rois or 0, extractor.out_channels, *size, device='meta'))


def _as_list(module: nn.Module) -> list[Any]:
    return list(module) if isinstance(module, nn.ModuleList) else [module]


class _UnsplitConv2d(nn.Conv2d):
    """A convolution that a neck leaves whole: necks split plain ``Conv2d`` alone over their streams."""


@contextmanager
def _concatenating(model: nn.Module) -> Iterator[None]:
    """Let our necks concatenate before they convolve, as the papers draw it and the authors count it."""
    find: dict[type, Callable[[Any], Any]] = {
        HRFPN: lambda neck: neck.reduction_conv,
        HRNetV2Neck: lambda neck: neck.mix,
    }
    mixes = [find[type(m)](m) for m in model.modules() if type(m) in find]
    convs = [mix.conv for mix in mixes if mix is not None and type(mix.conv) is nn.Conv2d]
    for conv in convs:
        conv.__class__ = _UnsplitConv2d
    try:
        yield
    finally:
        for conv in convs:
            conv.__class__ = nn.Conv2d


def _norms(model: nn.Module) -> Iterator[nn.Module]:
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return (m for m in model.modules() if isinstance(m, kinds))


def _refusal(value: object, what: str, error: Exception) -> ConfigError:
    return ConfigError(key='model.type', value=value, expected=f'a model that can {what} ({one_line(error)})')
