"""ImageNet weights of the named architectures, where somebody published them for OpenMMLab."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_MMPRETRAIN = 'https://download.openmmlab.com/mmclassification/v0/hrnet'

#: arch -> checkpoint. Sources: MMEngine's table of third-party models for ``open-mmlab://``, and
#: mmpretrain's metafile for the widths that are not in it.
IMAGENET_WEIGHTS: Mapping[str, str] = MappingProxyType(
    {
        'w18_small_v2': 'open-mmlab://msra/hrnetv2_w18_small',
        'w18': 'open-mmlab://msra/hrnetv2_w18',
        'w30': f'{_MMPRETRAIN}/hrnet-w30_3rdparty_8xb32_in1k_20220120-8aa3832f.pth',
        'w32': 'open-mmlab://msra/hrnetv2_w32',
        'w40': 'open-mmlab://msra/hrnetv2_w40',
        'w44': f'{_MMPRETRAIN}/hrnet-w44_3rdparty_8xb32_in1k_20220120-35d07f73.pth',
        'w48': 'open-mmlab://msra/hrnetv2_w48',
        'w64': f'{_MMPRETRAIN}/hrnet-w64_3rdparty_8xb32_in1k_20220120-19126642.pth',
    }
)


def imagenet_init(arch: str) -> dict[str, Any] | None:
    """The ``init_cfg`` that loads an architecture's ImageNet weights, ``None`` where none are known."""
    checkpoint = IMAGENET_WEIGHTS.get(arch)
    return None if checkpoint is None else {'type': 'Pretrained', 'checkpoint': checkpoint}
