"""One HRNet for all of OpenMMLab. Importing the package registers everything."""

from . import pictures, training
from .checkpoints import allow_training_checkpoints
from .deploy import to_inference_form
from .models import HRFPN, NAMED_ARCHS, SCOPE_DEFAULTS, HRNetBackbone, HRNetClassificationNeck, HRNetV2Neck
from .version import __version__

allow_training_checkpoints()

__all__ = [
    'HRFPN',
    'NAMED_ARCHS',
    'SCOPE_DEFAULTS',
    'HRNetBackbone',
    'HRNetClassificationNeck',
    'HRNetV2Neck',
    '__version__',
    'pictures',
    'to_inference_form',
    'training',
]
