"""From a config file and a command line to a config that is ready to run, for all four codebases."""

from .codebases import CODEBASES
from .errors import ConfigError, DataError
from .load import load_config
from .names import find_config, shipped_configs_folder
from .options import parse_options
from .paths import check_data
from .reroot import reroot
from .targets import require_file, require_folder

__all__ = [
    'CODEBASES',
    'ConfigError',
    'DataError',
    'check_data',
    'find_config',
    'load_config',
    'parse_options',
    'require_file',
    'require_folder',
    'reroot',
    'shipped_configs_folder',
]
