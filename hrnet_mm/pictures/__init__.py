"""Pictures: of data, of predictions beside the truth, of a training's curves and of feature maps."""

from .canvas import read_image, write_image
from .pair_pictures_hook import PairPicturesHook

__all__ = ['PairPicturesHook', 'read_image', 'write_image']
