"""What an export is asked for, refused where it cannot be done before a model is built."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..config.errors import ConfigError
from ..config.files import require_folder
from .formats import FORMATS


def require_target(path: str | Path) -> Path:
    """The path of a file that can be written and checked; its folder is made where it is missing.

    Raises:
        ConfigError: if the ending is unknown, the folder can't be made, or a package is missing.
    """
    target = Path(path)
    if target.suffix not in FORMATS or target.is_dir():
        raise ConfigError(
            key='OUT', value=str(path), expected=f'a file name ending in {" or ".join(FORMATS)}'
        )
    packages = FORMATS[target.suffix].packages
    for package in packages:
        try:
            import_module(package)
        except ImportError as error:
            raise ConfigError(
                key='OUT',
                value=str(path),
                expected=f'an installed {package}, which this needs: pip install {" ".join(packages)}',
            ) from error
    return require_folder(target.parent, key='OUT') / target.name
