"""One HRNet for all of OpenMMLab.

What importing the package changes outside of it, and no more:

- MMEngine's root registry of models gains ``HRNetBackbone``, ``HRNetV2Neck``, ``HRNetClassificationNeck``;
  the registries of our own scope (``type='hrnet_mm....'``) hold the rest. For one release the root registries
  of hooks and model wrappers also know ours by the plain names that they had in 0.1.
- MMEngine reads local checkpoints, for any model, through ``hrnet_mm.checkpoints``: with
  ``weights_only=True``, before its own loader (see ``hrnet_mm.checkpoints.mm``). URLs stay MMEngine's.
- MMEngine knows one more file backend, ``hrnet_mm.atomic`` (in 0.1 ``hrnet_mm.whole``).

Nothing is patched, no warning filter is set, and torch's list of safe classes stays as it is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import pictures, training
from .checkpoints import allow_training_checkpoints
from .deploy import to_inference_form
from .models import HRFPN, NAMED_ARCHS, SCOPE_DEFAULTS, HRNetBackbone, HRNetClassificationNeck, HRNetV2Neck
from .multi_task import MultiTaskModel
from .version import __version__

if TYPE_CHECKING:
    from .inference import Network
    from .relatives import DeconvNet, SegNet

#: What is imported when it is first used -> its room: some bring matplotlib and all that draws.
_LATE = {'Network': 'inference', 'DeconvNet': 'relatives', 'SegNet': 'relatives'}

__all__ = [
    'HRFPN',
    'NAMED_ARCHS',
    'SCOPE_DEFAULTS',
    'DeconvNet',
    'HRNetBackbone',
    'HRNetClassificationNeck',
    'HRNetV2Neck',
    'MultiTaskModel',
    'Network',
    'SegNet',
    '__version__',
    'allow_training_checkpoints',
    'pictures',
    'to_inference_form',
    'training',
]


def __getattr__(name: str) -> Any:
    """What is in ``_LATE``."""
    if name in _LATE:
        return getattr(import_module(f'.{_LATE[name]}', __name__), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
