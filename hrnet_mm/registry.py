"""Where the OpenMMLab packages find us.

``type='hrnet_mm.HRNetBackbone'`` resolves through the child registries of our own scope. The models whose
names are nobody else's stand in MMEngine's root registry too, so that ``type='HRNetBackbone'`` resolves from
any scope.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODEL_WRAPPERS as ROOT_MODEL_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

MODELS = Registry(
    'model', parent=ROOT_MODELS, scope='hrnet_mm', locations=['hrnet_mm.models', 'hrnet_mm.relatives']
)
#: Looked up first where a config names it: it imports mmseg.
DATASETS = Registry(
    'dataset', parent=ROOT_DATASETS, scope='hrnet_mm', locations=['hrnet_mm.data.segmentation_folder']
)
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='hrnet_mm', locations=['hrnet_mm'])
LOOPS = Registry('loop', parent=ROOT_LOOPS, scope='hrnet_mm', locations=['hrnet_mm'])
MODEL_WRAPPERS = Registry(
    'model_wrapper', parent=ROOT_MODEL_WRAPPERS, scope='hrnet_mm', locations=['hrnet_mm']
)
#: In this scope ``Pretrained`` reads weights of every publisher: ``hrnet_mm.checkpoints`` registers it, and
#: is imported by the first look-up, because ``hrnet_mm.models`` uses it and imports nothing above itself.
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=ROOT_WEIGHT_INITIALIZERS,
    scope='hrnet_mm',
    locations=['hrnet_mm.checkpoints'],
)

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


def register_in_scope(registry: Registry) -> Callable[[T], T]:
    """Register a class as ``hrnet_mm.<Name>``, in one of the registries above.

    For one release its plain name, which it had until 0.2, builds it too, with a ``DeprecationWarning``.
    """

    def register(cls: T) -> T:
        registry.register_module(module=cls)
        assert registry.parent is not None
        registry.parent.register_module(module=_by_its_old_name(cls))
        return cls

    return register


def _by_its_old_name(cls: Any) -> type:
    name = cls.__name__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"type='{name}' has become type='hrnet_mm.{name}'; the old name goes with hrnet_mm 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        cls.__init__(self, *args, **kwargs)

    return type(name, (cls,), {'__init__': __init__, '__module__': cls.__module__, '__doc__': cls.__doc__})
