"""The main job on the embedded data set: one HRNet learns pose, segmentation and detection."""

from .run import run_demo
from .tasks import TASKS, DemoTask, Result

__all__ = ['TASKS', 'DemoTask', 'Result', 'run_demo']
