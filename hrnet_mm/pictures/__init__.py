"""Pictures: of data, of predictions beside the truth, of a training's curves and of feature maps."""

from .canvas import write_image
from .pair_pictures_hook import PairPicturesHook

__all__ = ['PairPicturesHook', 'write_image']
