"""Who knows how to put HRNet under a codebase's models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from mmengine.config import Config

from .request import SwapRequest

#: Changes a copy of a whole config in place, or raises ``SwapRefused``.
Rule = Callable[[Config, SwapRequest], None]


def _lazily(module: str) -> Rule:
    """The function ``swap`` of a module of ours, imported when it is first needed."""

    def rule(cfg: Config, request: SwapRequest) -> None:
        import_module(f'.{module}', __package__).swap(cfg, request)

    return rule


#: MMEngine scope -> its rule.
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        'mmdet': _lazily('detectors'),
        'mmseg': _lazily('segmentors'),
        'mmpose': _lazily('pose'),
        'mmpretrain': _lazily('classifiers'),
    }
)
