"""Weights of every publisher, read without ever executing what a file says."""

from .converting import convert_checkpoint
from .errors import CheckpointError
from .fitting import load_weights
from .layouts import LAYOUTS, PUBLISHERS
from .mm import AnyLayoutInit, HRNetWeightsHook
from .reading import Checkpoint, read_checkpoint
from .report import ConversionReport, LoadReport
from .safe_globals import allow_training_checkpoints

__all__ = [
    'LAYOUTS',
    'PUBLISHERS',
    'AnyLayoutInit',
    'Checkpoint',
    'CheckpointError',
    'ConversionReport',
    'HRNetWeightsHook',
    'LoadReport',
    'allow_training_checkpoints',
    'convert_checkpoint',
    'load_weights',
    'read_checkpoint',
]
