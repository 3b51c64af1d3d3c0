"""One call from a trained model to the same model made for inference."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from torch import nn

from ..models import HRFPN, HRNetBackbone, HRNetClassificationNeck
from ..models.conv_norm import ConvNorm
from ..models.stages import NoFusion
from .fold import fold_norms
from .hrnet import FusedHRNet
from .necks import FusedClassificationNeck, FusedHRFPN

Model = TypeVar('Model')
#: What has a form of its own for inference.
_FUSED: Mapping[type[nn.Module], Callable[[Any], nn.Module]] = MappingProxyType(
    {
        HRNetBackbone: FusedHRNet,
        HRNetClassificationNeck: FusedClassificationNeck,
        HRFPN: FusedHRFPN,
    }
)
#: What may remain in a part whose norms are folded, beside convolutions.
_WITHOUT_WEIGHTS = (nn.Identity, nn.ModuleList, nn.ReLU, nn.Sequential, ConvNorm, NoFusion)


def to_inference_form(model: Model) -> Model:
    """A copy of a model that computes the same outputs faster; the original stays as it is.

    Batch norms are folded into the convolutions before them, in backbone, neck and heads. Every
    ``HRNetBackbone`` whose norms could all be folded becomes a :class:`FusedHRNet`. Calling it again
    changes nothing more.

    Args:
        model: any model of the four packages, a bare ``HRNetBackbone``, or an inferencer, whose ``model``
            is converted in place of the model itself.

    Returns:
        The copy, in eval mode; outputs agree to 1e-4 relative in float32.

    Raises:
        TypeError: if ``model`` holds no module.
    """
    if isinstance(model, nn.Module):
        return _converted(model)
    # MMPoseInferencer holds another inferencer, all others a model
    for name in ('model', 'inferencer'):
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module) or hasattr(inner, 'model'):
            result: Any = copy.copy(model)
            setattr(result, name, to_inference_form(inner))
            return result
    raise TypeError(
        f'model={type(model).__name__} given to to_inference_form; expected a torch module, or an '
        'inferencer with a module as its attribute `model`'
    )


def _converted(model: Any) -> Any:
    result = copy.deepcopy(model)
    result.eval()  # mmpose's own HRNet.train() returns nothing, so no chaining
    fold_norms(result)
    for parameter in result.parameters():
        parameter.requires_grad_(False)
    if type(result) in _FUSED:
        return _fused(result)
    for parent in list(result.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) in _FUSED:
                setattr(parent, name, _fused(child))
    return result


def _fused(part: Any) -> nn.Module:
    """The fused part, or the part itself where it has other norms or convolutions than plain ones."""
    return _FUSED[type(part)](part).eval() if _is_plain(part) else part


def _is_plain(part: nn.Module) -> bool:
    leaves = [module for module in part.modules() if not list(module.children())]
    return all(isinstance(leaf, _WITHOUT_WEIGHTS) or _is_plain_conv(leaf) for leaf in leaves)


def _is_plain_conv(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and module.padding_mode == 'zeros'
