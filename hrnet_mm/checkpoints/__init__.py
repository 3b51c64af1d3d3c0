"""Weights of every publisher, read without ever executing what a file says."""

from .converting import convert_checkpoint
from .files import AtomicBackend, CheckpointError
from .fitting import fit, load_weights
from .layouts import LAYOUTS, PUBLISHERS
from .mm import HRNetWeightsHook, PretrainedOfAnyLayout
from .names import body_prefixes
from .reading import Checkpoint, allow_training_checkpoints, load_file, read_checkpoint, unwrap
from .report import ConversionReport, LoadReport
from .tasks import extract_task, fill_task

__all__ = [
    'LAYOUTS',
    'PUBLISHERS',
    'AtomicBackend',
    'Checkpoint',
    'CheckpointError',
    'ConversionReport',
    'HRNetWeightsHook',
    'LoadReport',
    'PretrainedOfAnyLayout',
    'allow_training_checkpoints',
    'body_prefixes',
    'convert_checkpoint',
    'extract_task',
    'fill_task',
    'fit',
    'load_file',
    'load_weights',
    'read_checkpoint',
    'unwrap',
]
