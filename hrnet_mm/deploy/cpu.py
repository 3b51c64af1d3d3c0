"""``HRNetBackbone`` as fewer, fused operations: oneDNN convolves, adds and rectifies in one pass over memory.

Where tensors are not on a CPU, or something records the calls, the same is written out with PyTorch's own
operators. Norms must be folded already.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models import HRNetBackbone
from ..models.blocks import ResidualBlock
from ..models.conv_norm import ConvNorm, fast_layout, in_layout_of, is_plain_cpu
from ..models.stages import Fusion, Upsampling

Result = TypeVar('Result')
#: Padding, stride, dilation and groups of a convolution, in the order of oneDNN's operators.
Geometry = tuple[Any, Any, Any, int]

_ONEDNN: Any = torch.ops.mkldnn  # PyTorch's compiler calls the same operators
_PARTS = ('transition1', 'stage2', 'transition2', 'stage3', 'transition3', 'stage4')


class FusedConv(nn.Module):
    """``relu(conv(x) + add)`` in one call.

    Args:
        conv: a convolution with zero padding, its norm already folded; copied.
        relu: whether a ReLU ends the call.
    """

    def __init__(self, conv: nn.Conv2d, *, relu: bool) -> None:
        super().__init__()
        weight = conv.weight.detach().clone(memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.relu = relu
        self.geometry: Geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, *, add: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H', W')``; ``add`` has the result's shape and is overwritten."""
        if self.weight.dtype == torch.float32 and onednn_takes(x):
            if self._packed is None:
                self._packed = _packed(self.weight, self.geometry, x.shape)
            return _convolved(x, self._packed, self.bias, self.geometry, relu=self.relu, add=add)
        out = F.conv2d(x, self.weight, self.bias, *self._torch_geometry())
        if add is not None:
            out = out + add
        return F.relu(out) if self.relu else out

    def _torch_geometry(self) -> Geometry:
        padding, stride, dilation, groups = self.geometry
        return stride, padding, dilation, groups

    def _apply(self, fn: Any, recurse: bool = True) -> FusedConv:
        self._packed = None  # the weights are about to change
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_packed': None}  # oneDNN's tensors can be neither copied nor pickled


def onednn_takes(x: Tensor) -> bool:
    """Whether oneDNN's operators may be called with ``x`` now: float32 on a CPU, without gradients.

    Not while something else watches or rewrites what is computed: tracing, compilation, autocast, dispatch
    modes such as PyTorch's counter of operations. They know PyTorch's own operators.
    """
    return (
        type(x) is Tensor
        and is_plain_cpu(x)
        and not torch.is_grad_enabled()
        and bool(torch.backends.mkldnn.enabled)
        and torch._C._len_torch_dispatch_stack() == 0
        and onednn_works()
    )


@cache
def onednn_works() -> bool:
    """Whether this torch has the operators that its own compiler uses, with the arguments given here."""
    if not torch.backends.mkldnn.is_available():
        return False

    def ones(*shape: int) -> Tensor:
        return torch.ones(*shape, device='cpu', dtype=torch.float32)

    x, weight, bias, geometry = ones(1, 1, 3, 3), ones(1, 1, 1, 1), ones(1), ([0, 0], [1, 1], [1, 1], 1)
    try:
        weight = _packed(weight, geometry, x.shape)
        plain = _convolved(x, weight, bias, geometry, relu=True, add=None)
        total = _convolved(x, weight, bias, geometry, relu=False, add=plain)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((total == 4).all())


def _packed(weight: Tensor, geometry: Geometry, shape: Sequence[int]) -> Tensor:
    """``weight`` in oneDNN's own order for inputs of ``shape``, which otherwise is made in every call."""
    result: Tensor = _ONEDNN._reorder_convolution_weight(weight, *geometry, list(shape))
    return result


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor, geometry: Geometry, *, relu: bool, add: Tensor | None
) -> Tensor:
    """``relu(conv(x) + add)`` with a packed weight; ``add`` is overwritten. Channels last if ``x`` is."""
    result: Tensor
    if add is None:
        rectifier = 'relu' if relu else 'none'
        result = _ONEDNN._convolution_pointwise(x, weight, bias, *geometry, rectifier, [], '')
    else:
        result = _ONEDNN._convolution_pointwise_.binary(
            add, x, weight, bias, *geometry, 'add', 1.0, 'relu' if relu else None, [], None
        )
    return result


def uncompiled(method: Callable[..., Result]) -> Callable[..., Result]:
    """``method``, which a compiled model calls as it is.

    ``torch.compiler.disable`` does the same, but imports the compiler at once: a third of the time that
    ``import hrnet_mm`` takes. Here it is imported where it already is, in a compiled program.
    """

    @wraps(method)
    def call(*args: Any) -> Result:
        if torch.compiler.is_compiling():
            result: Result = torch.compiler.disable(method)(*args)
            return result
        return method(*args)

    return call


class FusedResidual(nn.Module):
    """A residual block whose addition and ReLU belong to its last convolution."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        convs = [getattr(block, f'conv{number}') for number in range(1, block.depth + 1)]
        self.convs = nn.ModuleList(FusedConv(conv, relu=True) for conv in convs)
        shortcut: Any = block.downsample
        self.downsample = None if shortcut is None else FusedConv(shortcut[0], relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C', H, W)``; without a downsampling shortcut ``x`` is overwritten."""
        out = x
        *before, last = self.convs
        for conv in before:
            out = conv(out)
        return last(out, add=x if self.downsample is None else self.downsample(x))


class FusedFusion(nn.Module):
    """A fusion whose sums grow inside the convolutions.

    Nearest upsampling composes, so the sum of the coarser streams climbs one octave at a time, and each
    joins where it is smallest; bilinear upsampling does not, and each term is enlarged by itself.
    """

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.outputs = fusion.outputs
        self.upsampling: Upsampling = fusion.upsampling
        rows = _with_fused_children(fusion)
        self.rows = nn.ModuleList(rows[to] for to in fusion.outputs)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        return [
            F.relu_(self._sum(to, paths, streams)) for to, paths in zip(self.outputs, self.rows, strict=True)
        ]

    def _sum(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor:
        coarser = self._from_coarser(to, paths, streams)
        # the stream itself is still needed by the other sums
        total = streams[to].clone() if coarser is None else coarser.add_(streams[to])
        for source in range(to):
            *before, last = paths[source]
            x = streams[source]
            for conv in before:
                x = conv(x)
            total = last(x, add=total)
        return total

    def _from_coarser(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor | None:
        """The sum of all coarser streams, enlarged to the size of stream ``to``."""
        total: Tensor | None = None
        for source in reversed(range(to + 1, len(streams))):
            if self.upsampling.mode == 'nearest':
                total = paths[source](streams[source], add=total)
                total = self._enlarged(total, 1, streams[source - 1])
            else:
                term = self._enlarged(paths[source](streams[source]), source - to, streams[to])
                total = term if total is None else total.add_(term)
        return total

    def _enlarged(self, x: Any, octaves: int, like: Tensor) -> Tensor:
        x = self.upsampling(x, octaves=octaves, size=like.shape[2:])
        return x.contiguous(memory_format=torch.channels_last)  # a cropped one is a view with gaps


class FusedHRNet(nn.Module):
    """``HRNetBackbone`` for inference.

    Args:
        backbone: in eval mode, its norms folded; its weights are copied.
    """

    def __init__(self, backbone: HRNetBackbone) -> None:
        super().__init__()
        self.in_channels = backbone.in_channels
        self.out_channels = backbone.out_channels
        stem: list[Any] = [backbone.conv1, backbone.conv2]
        self.stem = nn.Sequential(*(FusedConv(conv, relu=True) for conv in stem))
        for name in ('layer1', *_PARTS):
            self.add_module(name, _fused(copy.deepcopy(getattr(backbone, name))))

    # torch 2.11's inductor with frozen weights fuses these additions with convolutions wrongly, and outputs
    # are off by their own size. oneDNN has fused them already: a compiled model calls this as it is.
    @uncompiled
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """As :meth:`hrnet_mm.HRNetBackbone.forward`.

        Maps have the image's memory format: mmcv's RoIAlign on a CPU reads any other wrongly.
        """
        layer1: Any = self.layer1
        streams = [layer1(self.stem(fast_layout(image)))]
        for name in _PARTS:
            streams = getattr(self, name)(streams)
        return tuple(in_layout_of(image, x) for x in streams)


def _fused(module: Any) -> Any:
    """``module`` with every pair of convolution and norm, and every residual block, in its fused form."""
    if isinstance(module, ResidualBlock):
        return FusedResidual(module)
    if isinstance(module, ConvNorm):
        return FusedConv(module[0], relu=len(module) > 2)  # type: ignore[arg-type]
    if isinstance(module, Fusion):
        return FusedFusion(module)
    return _with_fused_children(module)


def _with_fused_children(module: Any) -> Any:
    for name, child in module.named_children():
        setattr(module, name, _fused(child))
    return module
