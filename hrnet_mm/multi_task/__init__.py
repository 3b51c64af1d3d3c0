"""One backbone for several tasks: the model, its training, its validation and its data."""

from .loops import MultiTaskTestLoop, MultiTaskTrainLoop, MultiTaskValLoop, TaskTestHook
from .model import MultiTaskModel
from .shared_images import SharedImages

__all__ = [
    'MultiTaskModel',
    'MultiTaskTestLoop',
    'MultiTaskTrainLoop',
    'MultiTaskValLoop',
    'SharedImages',
    'TaskTestHook',
]
