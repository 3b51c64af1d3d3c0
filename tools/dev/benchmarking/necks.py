"""``--what hrfpn`` and ``v2``: what stands on the streams, in mmdet's and mmseg's way and in ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from hrnet_mm.models import HRNetV2Neck

from .drivers import Bare
from .lively import calibrate, enliven
from .matches import Entrant, Maker, Match, build, widths_of
from .request import Request

_PYRAMID_CHANNELS = 256
_CLASSES = 19  # Cityscapes


class _NeckAndClassifier(nn.Module):
    """Our neck and what remains of mmseg's head behind it."""

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        self.neck = HRNetV2Neck(in_channels, conv_bias=False)
        self.conv_seg = nn.Conv2d(sum(in_channels), _CLASSES, kernel_size=1)

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """Streams in, class scores at the finest stream's size out."""
        scores: Tensor = self.conv_seg(self.neck(streams)[0])
        return scores


def random_streams(request: Request) -> tuple[Tensor, ...]:
    """Streams as a backbone gives them; in training they ask for a gradient."""
    maps = []
    height, width = request.shape
    for level, channels in enumerate(widths_of(request.arch)):
        generator = torch.Generator().manual_seed(level)
        x = torch.randn(request.batch, channels, height, width, generator=generator).relu_()
        maps.append(x.to(request.device).requires_grad_(request.training))
        height, width = -(-height // 2), -(-width // 2)
    return tuple(maps)


def _hrfpn(request: Request, peer: str) -> Match:
    cfg = {'in_channels': widths_of(request.arch), 'out_channels': _PYRAMID_CHANNELS}
    theirs = build({'type': 'HRFPN', **cfg}, scope=peer)
    ours = build({'type': 'hrnet_mm.HRFPN', **cfg}, scope=peer)
    enliven(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return _meeting(request, peer, theirs, ours)


def _v2(request: Request, peer: str) -> Match:
    widths = widths_of(request.arch)
    head: dict[str, Any] = {
        'type': 'FCNHead',
        'in_channels': widths,
        'in_index': (0, 1, 2, 3),
        'channels': sum(widths),
        'input_transform': 'resize_concat',
        'kernel_size': 1,
        'num_convs': 1,
        'concat_input': False,
        'dropout_ratio': -1,
        'num_classes': _CLASSES,
        'norm_cfg': {'type': 'BN'},
        'align_corners': False,
    }
    theirs, ours = build(head, scope=peer), _NeckAndClassifier(widths)
    enliven(theirs)
    streams = random_streams(request)
    calibrate(theirs.to(request.device), lambda: theirs(streams))
    state = {key.replace('convs.0.', 'neck.mix.'): value for key, value in theirs.state_dict().items()}
    ours.load_state_dict(state, strict=True)
    return _meeting(request, peer, theirs, ours)


def _meeting(request: Request, peer: str, theirs: nn.Module, ours: nn.Module) -> Match:
    driver = Bare(listed=True)
    return Match(
        scope=peer,
        inputs=random_streams(request),
        peer=Entrant(peer, theirs.to(request.device), driver),
        ours=Entrant('ours', ours.to(request.device), driver),
    )


MAKERS: Mapping[str, Maker] = MappingProxyType({'hrfpn': _hrfpn, 'v2': _v2})
