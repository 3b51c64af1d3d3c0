"""Where the OpenMMLab packages find us.

``type='HRNetBackbone'`` resolves through MMEngine's root registry from any scope;
``type='hrnet_mm.HRNetBackbone'`` resolves through the child registry of our own scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

MODELS = Registry('model', parent=ROOT_MODELS, scope='hrnet_mm', locations=['hrnet_mm.models'])

T = TypeVar('T', bound=type)


def register_model(*, in_root: bool) -> Callable[[T], T]:
    """Register a class as ``hrnet_mm.<Name>`` and, with ``in_root``, as plain ``<Name>`` too.

    ``in_root=False`` is for names that an OpenMMLab package already uses for its own class.
    """

    def register(cls: T) -> T:
        MODELS.register_module(module=cls)
        if in_root:
            ROOT_MODELS.register_module(module=cls)
        return cls

    return register
