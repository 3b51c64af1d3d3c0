"""Sizes and memory of models, counted without their numbers."""

from .complexity import GIGA, Complexity, complexity_of, measure
from .memory import PeakMemory
from .running import empty_image, run
from .shapes import require_shape, shape_of, task_shapes
from .training_memory import largest_batch, predict_training_memory, recomputations, training_memory_as_text

__all__ = [
    'GIGA',
    'Complexity',
    'PeakMemory',
    'complexity_of',
    'empty_image',
    'largest_batch',
    'measure',
    'predict_training_memory',
    'recomputations',
    'require_shape',
    'run',
    'shape_of',
    'task_shapes',
    'training_memory_as_text',
]
