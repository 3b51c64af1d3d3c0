"""From a config file and a command line to a config that is ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..data.image_header import set_pixel_limit
from .codebases import CODEBASES, require_scope
from .errors import ConfigError, one_line
from .names import find_config
from .options import merge_options
from .reroot import reroot
from .switches import enable_amp, enable_auto_scale_lr, enable_resume, use_launcher


def load_config(
    path: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    data_root: str | Path | None = None,
    launcher: str = 'none',
    amp: bool = False,
    resume: bool | str | Path = False,
    auto_scale_lr: bool = False,
) -> Config:
    """Read a config of any of the four codebases and apply what a user asks for on top.

    Args:
        path: The config file, or a package's own by name (see ``find_config``).
        options: Dotted key -> value, merged last over the file's values.
        work_dir: Folder for logs and checkpoints. Left out: the file's own ``work_dir``, or else
            ``./work_dirs/<name of the config>``.
        data_root: Folder of the data, instead of the file's ``data_root``.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``.
        amp: Train in mixed precision.
        resume: True to continue from the latest checkpoint in ``work_dir``, or a checkpoint.
        auto_scale_lr: Scale the learning rate with the batch size.

    Returns:
        The config. Data paths are checked by ``run_train`` and ``run_test``, which know which of
        them will be read.

    Raises:
        ConfigError: in one line, what is wrong with the file or with an argument.
    """
    file = find_config(path)
    cfg = _read(file)
    if data_root is not None:
        reroot(cfg, str(data_root))
    merge_options(cfg, options or {})
    set_pixel_limit(cfg)
    _fill_loaders(cfg, CODEBASES[require_scope(cfg)].loader)
    default_work_dir = cfg.get('work_dir') or f'./work_dirs/{file.stem}'
    cfg.work_dir = str(work_dir or default_work_dir)
    if Path(cfg.work_dir).is_file():
        raise ConfigError(key='work_dir', value=cfg.work_dir, expected='a folder, not a file')
    use_launcher(cfg, launcher)
    if amp:
        enable_amp(cfg)
    if resume:
        enable_resume(cfg, resume)
    if auto_scale_lr:
        enable_auto_scale_lr(cfg)
    return cfg


def _read(path: Path) -> Config:
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program: it can fail in any way
        raise ConfigError(
            key='config',
            value=str(path),
            expected=f'a readable config ({one_line(error)}){_missing_package(error)}',
        ) from error


def _missing_package(error: Exception) -> str:
    """How to install the codebase that ``_base_ = 'mmseg::...'`` did not find."""
    hints = (
        CODEBASES[name].install_hint
        for name in CODEBASES
        if isinstance(error, ImportError) and str(error).startswith((name, CODEBASES[name].distribution))
    )
    return next((f'; {hint}' for hint in hints), '')


def _fill_loaders(cfg: Config, defaults: Mapping[str, Any]) -> None:
    """Complete the data loaders as the codebase's own tools do."""
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(key) is not None:
            cfg[key] = {**defaults, **cfg[key]}
