"""One call from a trained model to the same model made for inference: norms folded, then parts fused.

Folding gives the same outputs in eval mode with one pass less each:
``gamma * (W x + b - mean) / sqrt(var + eps) + beta`` is a convolution with another weight and bias.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, TypeVar

import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..models import HRFPN, HRNetBackbone, HRNetClassificationNeck, HRNetV2Neck
from ..models.blocks import NumberedNorms
from ..models.conv_norm import ConvNorm, can_fold
from .fused import FusedHRNet, FusedPart
from .necks import FusedClassificationNeck, FusedHRFPN, FusedHRNetV2Neck

Model = TypeVar('Model')
#: What has a form of its own for inference.
FUSED_FORMS: Final[Mapping[type[nn.Module], Callable[[Any], nn.Module]]] = {
    HRNetBackbone: FusedHRNet,
    HRNetClassificationNeck: FusedClassificationNeck,
    HRNetV2Neck: FusedHRNetV2Neck,
    HRFPN: FusedHRFPN,
}
DTYPES: Final = (torch.float32, torch.bfloat16, torch.float16)
#: What may remain in a part whose norms are folded, beside convolutions.
_WITHOUT_WEIGHTS = (nn.Identity, nn.ModuleList, nn.ReLU, nn.Sequential, ConvNorm)


def to_inference_form(
    model: Model,
    *,
    dtype: torch.dtype | None = None,
    cuda_graphs: bool | None = None,
    copy_outputs: bool = True,
) -> Model:
    """A copy of a model that computes the same outputs faster; the original stays as it is.

    Batch norms are folded into the convolutions before them, in backbone, neck and heads. Every
    ``HRNetBackbone`` and neck of ours whose norms could all be folded takes its fused form. On a GPU, where
    the model may lie now or be moved later, that form is replayed from a CUDA graph for each shape of its
    inputs (:class:`hrnet_mm.deploy.graphs.CUDAGraphs`). Calling it again changes nothing more.

    Args:
        model: any model of the four packages, a bare ``HRNetBackbone``, or an inferencer, whose ``model``
            is converted in place of the model itself.
        dtype: what backbone and neck compute in: ``torch.float32``, ``bfloat16`` or ``float16``; heads get
            maps in the dtype of the image. Default: as the model is.
        cuda_graphs: whether to replay CUDA graphs on a GPU. Default: yes, unless the environment has
            ``HRNET_MM_CUDA_GRAPHS=0``.
        copy_outputs: whether the outputs of each replay are the caller's to keep. ``False`` saves one pass
            over them, and the next call overwrites them.

    Returns:
        The copy, in eval mode; outputs agree to 1e-4 relative in float32.

    Raises:
        TypeError: if ``model`` holds no module.
        ValueError: if ``dtype`` is none of these.
    """
    if dtype is not None and dtype not in DTYPES:
        names = ', '.join(map(str, DTYPES))
        raise ValueError(f'dtype={dtype} given to to_inference_form; expected one of {names}')
    if isinstance(model, nn.Module):
        form: Any = _converted(model)
        _settle(form, dtype=dtype, cuda_graphs=cuda_graphs, copy_outputs=copy_outputs)
        return form
    # MMPoseInferencer holds another inferencer, all others a model
    for name in ('model', 'inferencer'):
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module) or hasattr(inner, 'model'):
            result: Any = copy.copy(model)
            form = to_inference_form(inner, dtype=dtype, cuda_graphs=cuda_graphs, copy_outputs=copy_outputs)
            setattr(result, name, form)
            return result
    raise TypeError(
        f'model={type(model).__name__} given to to_inference_form; expected a torch module, or an '
        'inferencer with a module as its attribute `model`'
    )


def _settle(
    model: nn.Module, *, dtype: torch.dtype | None, cuda_graphs: bool | None, copy_outputs: bool
) -> None:
    parts = [module for module in model.modules() if isinstance(module, FusedPart)]
    for part in parts:
        part.to(dtype)
        part.graphs.copy_outputs = copy_outputs
        if cuda_graphs is not None:
            part.graphs.enabled = cuda_graphs
    if dtype is not None and not parts:
        print_log(
            f'no part of {type(model).__name__} has a fused form; dtype={dtype} has no effect', 'current'
        )


def _converted(model: Any) -> Any:
    result = copy.deepcopy(model)
    result.eval()  # mmpose's own HRNet.train() returns nothing, so no chaining
    fold_norms(result)
    for parameter in result.parameters():
        parameter.requires_grad_(False)
    if type(result) in FUSED_FORMS:
        return _fused(result)
    for parent in list(result.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) in FUSED_FORMS:
                setattr(parent, name, _fused(child))
    return result


def _fused(part: Any) -> nn.Module:
    """The fused part, or the part itself where it has other norms or convolutions than plain ones."""
    leaves = [module for module in part.modules() if not list(module.children())]
    if all(isinstance(leaf, _WITHOUT_WEIGHTS) or _is_plain_conv(leaf) for leaf in leaves):
        return FUSED_FORMS[type(part)](part).eval()
    return part


def _is_plain_conv(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d and module.padding_mode == 'zeros'


def fold_norms(model: nn.Module) -> int:
    """Fold, in place, wherever the order of execution is known: our pairs, ``ConvModule``, ``Sequential``.

    A convolution or norm that several modules share stays as it is, because folding it for one would
    change the others. The model must be in eval mode.

    Returns:
        How many norms were folded.
    """
    parents = Counter(child for module in model.modules() for child in module._modules.values())
    count = 0
    for module in list(model.modules()):
        for conv_name, norm_name in _pairs(module):
            conv, norm = getattr(module, conv_name), getattr(module, norm_name)
            if can_fold(conv, norm) and parents[conv] == parents[norm] == 1:
                setattr(module, conv_name, fuse_conv_bn_eval(conv.eval(), norm))
                setattr(module, norm_name, nn.Identity())
                count += 1
    return count


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children of which the second surely takes what the first gives, and nobody else does."""
    if isinstance(module, NumberedNorms):
        numbers = (name.removeprefix('conv') for name in module._modules if name.startswith('conv'))
        yield from ((f'conv{number}', f'{module.norm_prefix}{number}') for number in numbers)
    elif isinstance(module, ConvModule) and module.with_norm and module.order[:2] == ('conv', 'norm'):
        yield 'conv', module.norm_name
    elif type(module) in (nn.Sequential, ConvNorm):
        yield from pairwise(module._modules)
