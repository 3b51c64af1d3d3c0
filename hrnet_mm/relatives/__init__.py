"""Networks that HRNet is compared with and that no OpenMMLab package has: backbones for mmseg."""

from .deconvnet import DeconvNet
from .segnet import SegNet

__all__ = ['DeconvNet', 'SegNet']
