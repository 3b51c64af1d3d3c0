"""What stands between the streams and somebody else's head."""

from .classification import HRNetClassificationNeck
from .hrfpn import HRFPN
from .hrnet_v2 import HRNetV2Neck

__all__ = ['HRFPN', 'HRNetClassificationNeck', 'HRNetV2Neck']
