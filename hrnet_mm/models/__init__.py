"""The network: backbone and necks. Imports torch, mmengine and mmcv.cnn only."""

from .arch import NAMED_ARCHS
from .backbone import HRNetBackbone
from .defaults import SCOPE_DEFAULTS
from .necks import HRFPN, HRNetClassificationNeck, HRNetV2Neck

__all__ = [
    'HRFPN',
    'NAMED_ARCHS',
    'SCOPE_DEFAULTS',
    'HRNetBackbone',
    'HRNetClassificationNeck',
    'HRNetV2Neck',
]
