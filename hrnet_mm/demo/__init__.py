"""The main job on drawn data: one HRNet learns pose, segmentation and detection.

`generate` writes street scenes with people and cars in COCO's and in Cityscapes' layout; `draw_scene`
draws a single scene in memory. Same seed, same bytes.
"""

from .dataset import Report, generate
from .labels import COCO_IDS, KEYPOINTS, SKELETON, TRAIN_IDS
from .run import run_demo
from .scene import Instance, Scene, draw_scene
from .tasks import TASKS, DemoTask, Result

__all__ = [
    'COCO_IDS',
    'KEYPOINTS',
    'SKELETON',
    'TASKS',
    'TRAIN_IDS',
    'DemoTask',
    'Instance',
    'Report',
    'Result',
    'Scene',
    'draw_scene',
    'generate',
    'run_demo',
]
