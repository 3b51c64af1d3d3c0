"""The config that is to be swapped: how it is read, and how an heir names it."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ..config.codebases import CODEBASES, require_scope
from ..config.errors import ConfigError, one_line
from ..config.files import find_config, shipped_configs_folder
from .refusal import SwapRefused


@dataclass(frozen=True)
class Source:
    """A config as its file gives it.

    Attributes:
        path: Its file, absolute.
        cfg: What it says, with all of its bases.
        scope: The codebase it belongs to.
    """

    path: Path
    cfg: Config
    scope: str

    def base_name(self, heir: Path | None) -> str:
        """What an heir writes as ``_base_``: a package's name, or a path from the heir's folder."""
        for package in CODEBASES:
            folder = _configs_of(package)
            if folder is not None and self.path.is_relative_to(folder):
                return f'{package}::{self.path.relative_to(folder).as_posix()}'
        if heir is None:
            return self.path.as_posix()
        return Path(os.path.relpath(self.path, heir.absolute().parent)).as_posix()


def read_source(name: str | Path) -> Source:
    """Read a config by path or by ``package::path``.

    Raises:
        ConfigError: there is no such file, it cannot be read, or its codebase is not installed.
        SwapRefused: it holds no model of one of the four codebases, or cannot be inherited.
    """
    path = find_config(name).absolute()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            is_lazy = path.suffix == '.py' and Config._is_lazy_import(str(path))
            cfg = Config.fromfile(path)
    except Exception as error:  # a config is a program: it can fail in any way
        raise ConfigError(
            key='config', value=str(name), expected=f'a readable config ({one_line(error)})'
        ) from error
    if is_lazy:
        raise SwapRefused(
            part='config',
            reason='it is written with read_base(), and a config cannot inherit that by _base_',
        )
    scope = cfg.get('default_scope')
    if not isinstance(cfg.get('model'), dict):
        raise SwapRefused(part='model', reason='the config has none: it is a part of other configs')
    if scope not in CODEBASES:
        raise SwapRefused(part='default_scope', reason=f'{scope!r} is none of {", ".join(CODEBASES)}')
    require_scope(cfg)
    return Source(path=path, cfg=cfg, scope=scope)


def _configs_of(package: str) -> Path | None:
    try:
        return shipped_configs_folder(package).absolute()
    except ConfigError:  # not installed
        return None
