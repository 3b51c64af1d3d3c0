"""The embedded data set: street scenes with people and cars, drawn on the spot.

`generate` writes a training and a validation split in COCO's and in Cityscapes' layout; `draw_scene`
draws a single scene in memory. Same seed, same bytes.
"""

from .dataset import Report, generate
from .labels import COCO_IDS, KEYPOINTS, SKELETON, TRAIN_IDS
from .scene import Instance, Scene, draw_scene

__all__ = [
    'COCO_IDS',
    'KEYPOINTS',
    'SKELETON',
    'TRAIN_IDS',
    'Instance',
    'Report',
    'Scene',
    'draw_scene',
    'generate',
]
