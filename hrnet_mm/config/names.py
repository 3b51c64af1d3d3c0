"""Finding a config by path or, as ``_base_`` spells it, by package: ``mmdet::faster_rcnn/….py``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from .codebases import CODEBASES
from .errors import ConfigError
from .nearest import nearest

_OURS = 'hrnet_mm'


def find_config(name: str | Path) -> Path:
    """The file that a config's name stands for.

    Args:
        name: A path, or ``'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'`` for a config that one of
            the four packages or ``hrnet_mm`` itself was installed with.

    Raises:
        ConfigError: if there is no such file, or the package is unknown or not installed.
    """
    package, separator, inside = str(name).partition('::')
    if separator:
        return _installed_config(str(name), package, inside)
    path = Path(name)
    if not path.is_file():
        raise ConfigError(key='config', value=str(name), expected=f'a file, looked for {path.absolute()}')
    return path


def shipped_configs_folder(package: str) -> Path:
    """The folder of configs that a package was installed with.

    Raises:
        ConfigError: if the package is unknown, not installed, or has no configs.
    """
    if package not in (*CODEBASES, _OURS):
        raise ConfigError(
            key='config', value=f'{package}::', expected=f'one of {", ".join(CODEBASES)}, {_OURS}'
        )
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(
            key='config',
            value=f'{package}::',
            expected=f'an installed {package}; {CODEBASES[package].install_hint}',
        )
    folder = Path(spec.origin).parent / '.mim' / 'configs'
    if package == _OURS and not folder.is_dir():
        folder = Path(spec.origin).parents[1] / 'configs'  # a checkout's, which an installation copies
    if not folder.is_dir():
        raise ConfigError(key='config', value=f'{package}::', expected=f'configs in {folder}, found none')
    return folder


def _installed_config(name: str, package: str, inside: str) -> Path:
    folder = shipped_configs_folder(package)
    path = folder / inside
    if not path.is_file():
        near = nearest(path.name, (p.name for p in folder.rglob('*.py')))
        at = next((p.relative_to(folder) for p in folder.rglob(near)), None) if near else None
        hint = f'; nearest is {package}::{at}' if at else ''
        raise ConfigError(key='config', value=name, expected=f'a file in {folder}{hint}')
    return path
