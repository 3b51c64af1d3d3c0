"""Swapped configs for tests."""

from __future__ import annotations

from mmengine.config import Config

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.swap import SwapRequest
from hrnet_mm.swap.request import Necks
from hrnet_mm.swap.swapping import read_source, swapped


def with_hrnet(name: str, *, arch: str = 'w18_small_v1', necks: Necks = 'keep') -> Config:
    """A shipped config with HRNet in it, not yet checked."""
    return swapped(read_source(name), SwapRequest(arch=arch, necks=necks))
