"""One HRNet for all of OpenMMLab. Importing the package registers everything."""

from typing import TYPE_CHECKING, Any

from . import pictures, training
from .checkpoints import allow_training_checkpoints
from .deploy import to_inference_form
from .models import HRFPN, NAMED_ARCHS, SCOPE_DEFAULTS, HRNetBackbone, HRNetClassificationNeck, HRNetV2Neck
from .version import __version__

if TYPE_CHECKING:
    from .inference import Network

__all__ = [
    'HRFPN',
    'NAMED_ARCHS',
    'SCOPE_DEFAULTS',
    'HRNetBackbone',
    'HRNetClassificationNeck',
    'HRNetV2Neck',
    'Network',
    '__version__',
    'allow_training_checkpoints',
    'pictures',
    'to_inference_form',
    'training',
]


def __getattr__(name: str) -> Any:
    """``Network`` when it is first used: it brings matplotlib and all that draws."""
    if name == 'Network':
        from .inference import Network

        return Network
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
