"""HRNetV2p's feature pyramid (TPAMI paper, figure 4c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ...registry import register_model
from .upsample_concat import (
    check_in_channels,
    check_streams,
    conv1x1_of_concat,
    is_plain_conv1x1,
    upsample_concat,
)

_POOLING: dict[str, Callable[..., Tensor]] = {'AVG': F.avg_pool2d, 'MAX': F.max_pool2d}


# mmdet has an HRFPN of its own: ours is hrnet_mm.HRFPN everywhere
@register_model(in_root=False)
class HRFPN(BaseModule):
    """Mix all streams at stride 4 by a 1x1 convolution, pool to a pyramid, smooth each level by 3x3.

    State-dict keys and, at sizes mmdet's HRFPN can take, outputs are mmdet's.

    Args:
        in_channels: channels of every stream, finest first.
        out_channels: channels of every pyramid level.
        num_outs: number of levels; level ``i`` has stride ``4 * 2**i``.
        pooling_type: ``'AVG'`` or ``'MAX'``.
        conv_cfg: type of the convolutions.
        norm_cfg: type of the norms after them; ``None`` for convolutions with a bias and no norm.
        with_cp: recompute convolutions in the backward pass to save memory.
        stride: stride of the 3x3 convolutions.
        init_cfg: MMEngine initialisation config; default Caffe2's Xavier, as mmdet.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        num_outs: int = 5,
        pooling_type: str = 'AVG',
        conv_cfg: Mapping[str, Any] | None = None,
        norm_cfg: Mapping[str, Any] | None = None,
        with_cp: bool = False,
        stride: int = 1,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg or {'type': 'Caffe2Xavier', 'layer': 'Conv2d'})
        if pooling_type not in _POOLING:
            raise ValueError(f'HRFPN: pooling_type={pooling_type!r} is unknown; expected AVG or MAX')
        if not isinstance(num_outs, int) or num_outs < 1:
            raise ValueError(f'HRFPN: num_outs={num_outs!r} is not a positive integer')
        self.in_channels = check_in_channels('HRFPN', in_channels)
        self.out_channels = out_channels
        self.num_outs = num_outs
        self.with_cp = with_cp
        self._pool = _POOLING[pooling_type]
        common = {
            'conv_cfg': conv_cfg and dict(conv_cfg),
            'norm_cfg': norm_cfg and dict(norm_cfg),
            'act_cfg': None,
        }
        self.reduction_conv = ConvModule(sum(self.in_channels), out_channels, kernel_size=1, **common)
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, kernel_size=3, padding=1, stride=stride, **common)
            for _ in range(num_outs)
        )

    def forward(self, streams: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Streams ``(N, C_i, H_i, W_i)`` in, ``num_outs`` levels of ``out_channels`` channels out.

        Level ``i`` is ``(N, out_channels, floor(H_0 / 2**i), floor(W_0 / 2**i))``, at least 1x1.
        """
        check_streams('HRFPN', streams, self.in_channels)
        mixed = self._maybe_checkpoint(self._reduce, *streams)
        return tuple(
            self._maybe_checkpoint(conv, self.pooled(mixed, level))
            for level, conv in enumerate(self.fpn_convs)
        )

    def _reduce(self, *streams: Tensor) -> Tensor:
        conv, norm = self.reduction_conv.conv, self.reduction_conv.norm
        if is_plain_conv1x1(conv):
            x = conv1x1_of_concat(conv.weight, conv.bias, streams)
        else:
            x = conv(upsample_concat(streams))
        return x if norm is None else norm(x)

    def pooled(self, x: Tensor, level: int) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, floor(H / 2**level), floor(W / 2**level))``, at least 1x1."""
        if level == 0:
            return x
        # a window never larger than the map, so that tiny images keep all levels
        window = (min(2**level, x.shape[2]), min(2**level, x.shape[3]))
        return self._pool(x, kernel_size=window, stride=window)

    def _maybe_checkpoint(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        if self.with_cp and any(x.requires_grad for x in inputs):
            return checkpoint(function, *inputs, use_reentrant=False)
        return function(*inputs)
