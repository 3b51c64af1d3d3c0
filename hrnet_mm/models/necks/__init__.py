"""What stands between the streams and somebody else's head."""

from .classification import HRNetClassificationNeck
from .hrnet_v2 import HRFPN, HRNetV2Neck

__all__ = ['HRFPN', 'HRNetClassificationNeck', 'HRNetV2Neck']
