"""Which fusion upsampling a file's weights were trained with, where the file records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.stages import Upsampling

#: our entry in the ``meta`` of a checkpoint
RECORD = 'hrnet_mm'


def upsample_cfg(upsampling: Upsampling) -> dict[str, Any]:
    """``upsample_cfg`` as a config spells it."""
    cfg: dict[str, Any] = {'mode': upsampling.mode}
    if upsampling.align_corners is not None:
        cfg['align_corners'] = upsampling.align_corners
    return cfg


def with_upsampling(meta: Mapping[str, Any], upsampling: Upsampling | None) -> dict[str, Any]:
    """``meta`` with the upsampling recorded, where it is known."""
    if upsampling is None:
        return dict(meta)
    return {**meta, RECORD: {'upsample_cfg': upsample_cfg(upsampling)}}


def trained_upsampling(meta: Mapping[str, Any]) -> Upsampling | None:
    """The upsampling recorded in ``meta``, ``None`` if there is none that can be understood."""
    record = meta.get(RECORD)
    cfg = record.get('upsample_cfg') if isinstance(record, Mapping) else None
    if not isinstance(cfg, Mapping):
        return None
    try:
        return Upsampling.from_cfg(cfg)
    except ValueError:
        return None
