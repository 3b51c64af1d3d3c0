"""The main job on drawn data: one HRNet learns pose, segmentation and detection.

`generate` writes street scenes with people and cars in COCO's and in Cityscapes' layout; `draw_scene`
draws a single scene in memory. Same seed, same bytes.
"""

from .dataset import generate
from .labels import COCO_IDS, KEYPOINTS, SKELETON, TRAIN_IDS
from .run import DEMO_TASKS, DemoResult, DemoTask, run_demo
from .scene import Instance, Scene, draw_scene

__all__ = [
    'COCO_IDS',
    'DEMO_TASKS',
    'KEYPOINTS',
    'SKELETON',
    'TRAIN_IDS',
    'DemoResult',
    'DemoTask',
    'Instance',
    'Scene',
    'draw_scene',
    'generate',
    'run_demo',
]
