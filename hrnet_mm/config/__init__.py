"""From a config file and a command line to a config that is ready to run, for all four codebases."""

from .codebases import CODEBASES
from .errors import ConfigError, DataError
from .files import find_config, require_file, require_folder, shipped_configs_folder
from .load import load_config
from .options import parse_options
from .paths import check_data, reroot

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
