"""``HRNetBackbone`` as fewer, fused operations: convolution, addition and ReLU in one pass over memory.

On a GPU its calls are replayed from CUDA graphs, streams side by side. Norms must be folded already.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models import HRNetBackbone
from ..models.blocks import ResidualBlock
from ..models.conv_norm import ConvNorm, in_layout_of, is_plain_cpu
from ..models.side_by_side import side_by_side
from ..models.stages import Fusion, Upsampling
from .graphs import CUDAGraphs, Maps
from .operators import FusedConv, is_recorded

Result = TypeVar('Result')
_PARTS = ('transition1', 'stage2', 'transition2', 'stage3', 'transition3', 'stage4')


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


class FusedPart(nn.Module):
    """A backbone or a neck in its inference form; a subclass says what it computes.

    It computes in the dtype of its weights and gives maps in the dtype and memory format of what it is given
    (mmcv's RoIAlign reads maps that are channels last wrongly). On a GPU it replays a CUDA graph for each
    shape, and captures anew once weights are loaded or moved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.graphs = CUDAGraphs(type(self).__name__)

    def compute(self, inputs: Sequence[Tensor]) -> Maps:
        """Maps in, maps out, in the memory format that the operators like best."""
        raise NotImplementedError

    def run(self, inputs: Sequence[Tensor]) -> Maps:
        """:meth:`compute`, replayed where that can be."""
        like, dtype = inputs[0], next(self.parameters()).dtype
        if self.graphs.take(inputs):
            results = self.graphs(self.compute, inputs, dtype=dtype)
            if results is not None:
                return results
        cast = dtype != like.dtype and not torch.is_autocast_enabled(like.device.type)
        outputs = self.compute([_fast_layout(x.to(dtype) if cast else x) for x in inputs])
        return tuple(in_layout_of(like, x.to(like.dtype) if cast else x) for x in outputs)

    def _apply(self, fn: Any, recurse: bool = True) -> FusedPart:
        self.graphs.clear()
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.graphs.clear()
        super()._load_from_state_dict(*args, **kwargs)


def _fast_layout(x: Tensor) -> Tensor:
    """``x``, channels last where oneDNN or cuDNN computes at once."""
    is_fast = is_plain_cpu(x) or (x.is_cuda and not is_recorded())
    return x.contiguous(memory_format=torch.channels_last) if is_fast else x


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
        for to in fusion.outputs:
            if to > 0:  # the sum ends in the path from the next finer stream
                rows[to][to - 1][-1].relu = True
        self.rows = nn.ModuleList(rows[to] for to in fusion.outputs)

    def forward(self, streams: Sequence[Tensor]) -> list[Tensor]:
        """All streams in, the asked-for streams out; each ``(N, C_i, H_i, W_i)``."""
        rows = zip(self.outputs, self.rows, strict=True)
        return side_by_side([partial(self._output, to, paths, streams) for to, paths in rows])

    def _output(self, to: int, paths: Any, streams: Sequence[Tensor]) -> Tensor:
        coarser = self._from_coarser(to, paths, streams)
        # the stream itself is still needed by the other sums
        total = streams[to].clone() if coarser is None else coarser.add_(streams[to])
        for source in range(to):
            *before, last = paths[source]
            x = streams[source]
            for conv in before:
                x = conv(x)
            total = last(x, add=total)
        return F.relu_(total) if to == 0 else total

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


class FusedHRNet(FusedPart):
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
    def forward(self, image: Tensor) -> Maps:
        """As :meth:`hrnet_mm.HRNetBackbone.forward`; in the image's dtype and memory format."""
        return self.run([image])

    def compute(self, inputs: Sequence[Tensor]) -> Maps:
        """The image in, the feature maps out."""
        (image,) = inputs
        layer1: Any = self.layer1
        streams = [layer1(self.stem(image))]
        for name in _PARTS:
            streams = getattr(self, name)(streams)
        return tuple(streams)


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
