"""Pictures: of data, of predictions beside the truth, of a training's curves and of feature maps."""

from .pair_pictures_hook import PairPicturesHook
from .pairs import PairPainter, read_image, write_image

__all__ = ['PairPainter', 'PairPicturesHook', 'read_image', 'write_image']
