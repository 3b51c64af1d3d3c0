"""Weights of every publisher, read without ever executing what a file says."""

from .converting import convert_checkpoint
from .errors import CheckpointError
from .fitting import load_weights
from .layouts import LAYOUTS, PUBLISHERS
from .mm import AnyLayoutInit, HRNetWeightsHook
from .reading import Checkpoint, read_checkpoint
from .report import ConversionReport, LoadReport
from .safe_globals import allow_training_checkpoints
from .whole_files import WholeFileBackend, write_whole

__all__ = [
    'LAYOUTS',
    'PUBLISHERS',
    'AnyLayoutInit',
    'Checkpoint',
    'CheckpointError',
    'ConversionReport',
    'HRNetWeightsHook',
    'LoadReport',
    'WholeFileBackend',
    'allow_training_checkpoints',
    'convert_checkpoint',
    'load_weights',
    'read_checkpoint',
    'write_whole',
]
