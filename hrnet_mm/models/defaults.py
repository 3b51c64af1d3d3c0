"""What an argument left out means: the peers disagree, so it depends on the scope a model is built in.

The table is the whole story; ``HRNetBackbone`` reads it once, in its constructor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmengine.registry import DefaultScope

from .stages import Upsampling

_NEAREST = Upsampling('nearest')
_NORM_INIT: dict[str, Any] = {'type': 'Constant', 'val': 1, 'layer': ['_BatchNorm', 'GroupNorm']}
_KAIMING: dict[str, Any] = {'type': 'Kaiming', 'layer': 'Conv2d'}
_SMALL_NORMAL: dict[str, Any] = {'type': 'Normal', 'std': 0.001, 'layer': ['Conv2d']}


@dataclass(frozen=True)
class ScopeDefaults:
    """Defaults of one codebase's HRNet."""

    upsampling: Upsampling = _NEAREST
    multiscale_output: bool = True
    norm_eval: bool = False
    small_normal_init: bool = False

    def init_cfg(self) -> list[dict[str, Any]]:
        """A fresh initialisation config in MMEngine's form."""
        conv_init = _SMALL_NORMAL if self.small_normal_init else _KAIMING
        return [dict(conv_init), dict(_NORM_INIT)]


SCOPE_DEFAULTS: dict[str, ScopeDefaults] = {
    'mmpose': ScopeDefaults(multiscale_output=False, small_normal_init=True),
    'mmseg': ScopeDefaults(upsampling=Upsampling('bilinear', align_corners=False)),
    'mmdet': ScopeDefaults(norm_eval=True),
    'mmpretrain': ScopeDefaults(),
}


def current_scope() -> str | None:
    """Name of MMEngine's current default scope, ``None`` outside any."""
    scope = DefaultScope.get_current_instance()
    return None if scope is None else scope.scope_name


def scope_defaults() -> ScopeDefaults:
    """Defaults of the current scope; scopes without an HRNet of their own get mmpretrain's."""
    return SCOPE_DEFAULTS.get(current_scope() or 'mmpretrain', SCOPE_DEFAULTS['mmpretrain'])
