"""Files that a user names, to read or to write: told to be wrong before any work starts."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from .codebases import CODEBASES
from .errors import ConfigError, refused
from .options import nearest

_OURS = 'hrnet_mm'
_CHECKPOINT_SUFFIXES = ('.pth', '.pt', '.tar', '.safetensors')


def find_config(name: str | Path) -> Path:
    """The file that a config's name stands for.

    Args:
        name: A path, or ``'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'`` for a config that one of
            the codebases or ``hrnet_mm`` itself was installed with.

    Raises:
        ConfigError: if there is no such file, or the package is unknown or not installed.
    """
    package, separator, inside = str(name).partition('::')
    if not separator:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(key='config', value=str(name), expected=f'a file, looked for {path.absolute()}')
        return path
    folder = shipped_configs_folder(package)
    path = folder / inside
    if not path.is_file():
        near = nearest(path.name, (p.name for p in folder.rglob('*.py')))
        at = next((p.relative_to(folder) for p in folder.rglob(near)), None) if near else None
        hint = f'; nearest is {package}::{at}' if at else ''
        raise ConfigError(key='config', value=str(name), expected=f'a file in {folder}{hint}')
    return path


def shipped_configs_folder(package: str) -> Path:
    """The folder of configs that a package was installed with.

    Raises:
        ConfigError: if the package is unknown, not installed, or has no configs.
    """
    key, value = 'config', f'{package}::'
    if package not in (*CODEBASES, _OURS):
        raise ConfigError(key=key, value=value, expected=f'one of {", ".join(CODEBASES)}, {_OURS}')
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        hint = CODEBASES[package].install_hint
        raise ConfigError(key=key, value=value, expected=f'an installed {package}; {hint}')
    folder = Path(spec.origin).parent / '.mim' / 'configs'
    if package == _OURS and not folder.is_dir():
        folder = Path(spec.origin).parents[1] / 'configs'  # a checkout's, which an installation copies
    if not folder.is_dir():
        raise ConfigError(key=key, value=value, expected=f'configs in {folder}, found none')
    return folder


def is_remote(path: str) -> bool:
    """Whether a path names something that is not on this machine's disks (``https://``, ...)."""
    return re.match(r'[\w-]+://', path) is not None


def require_checkpoint(checkpoint: str | Path, *, key: str) -> str:
    """The path of a checkpoint that exists, or that MMEngine will fetch (``https://`` and such).

    Args:
        checkpoint: Path or URL.
        key: The argument or config key it came from.

    Raises:
        ConfigError: if it is a local path without a file, or of a file with another ending.
    """
    path = str(checkpoint)
    if is_remote(path):
        return path
    if not os.path.isfile(path):
        raise ConfigError(key, path, expected=f'a checkpoint file, looked for {Path(path).absolute()}')
    if not path.endswith(_CHECKPOINT_SUFFIXES):
        raise ConfigError(key, path, expected=f'a file of weights ({", ".join(_CHECKPOINT_SUFFIXES)})')
    return path


def require_file(path: str | Path, *, key: str, ending: str) -> Path:
    """The path of a file that can be written; its folder is made where it is missing.

    Args:
        path: as given by the user.
        key: what a message calls it, as in ``--out``.
        ending: of the name, as in ``.json``.

    Raises:
        ConfigError: if the name ends otherwise or its folder cannot be made.
    """
    target = Path(path)
    if target.suffix != ending or target.is_dir():
        raise ConfigError(key=key, value=str(path), expected=f'a file name ending in {ending}')
    return require_folder(target.parent, key=key) / target.name


def require_folder(path: str | Path, *, key: str) -> Path:
    """A folder to write to, made where it is missing.

    Raises:
        ConfigError: if it cannot be made.
    """
    folder = Path(path)
    with refused(key, str(path), expected='a folder that can be made'):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
