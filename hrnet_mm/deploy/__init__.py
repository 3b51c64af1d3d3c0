"""From a trained model to one made for inference."""

from .fused import FusedHRNet
from .inference_form import to_inference_form

__all__ = ['FusedHRNet', 'to_inference_form']
