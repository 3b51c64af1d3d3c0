"""Training and testing with a config of any of the four codebases, and pictures of the results.

Importing this needs MMEngine and torch alone; a codebase is looked up when its config is used.
"""

from .compile_hook import CompileHook
from .config import load_config
from .config_names import find_config, shipped_configs_folder
from .errors import ConfigError
from .finite_loss_hook import FiniteLossHook
from .inference_form_hook import InferenceFormHook
from .metrics import as_floats, metrics_table, write_metrics
from .numeric_fault import NumericFault
from .options import parse_options
from .pair_pictures_hook import PairPicturesHook
from .paths import check_data
from .pictures import PairPainter, read_image, write_image
from .progress_hook import TrainProgressHook
from .reroot import reroot
from .run import check_runnable, run_test, run_train
from .scopes import SCOPES
from .targets import require_file, require_folder
from .tensorboard import LocalTensorboardVisBackend

__all__ = [
    'SCOPES',
    'CompileHook',
    'ConfigError',
    'FiniteLossHook',
    'InferenceFormHook',
    'LocalTensorboardVisBackend',
    'NumericFault',
    'PairPainter',
    'PairPicturesHook',
    'TrainProgressHook',
    'as_floats',
    'check_data',
    'check_runnable',
    'find_config',
    'load_config',
    'metrics_table',
    'parse_options',
    'read_image',
    'require_file',
    'require_folder',
    'reroot',
    'run_test',
    'run_train',
    'shipped_configs_folder',
    'write_image',
    'write_metrics',
]
