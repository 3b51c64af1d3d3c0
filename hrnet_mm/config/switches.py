"""The switches of the command line, each as one change to a config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from mmengine.config import Config
from mmengine.device import get_device

from .errors import ConfigError
from .paths import is_remote, type_name

#: What a launcher leaves in the environment of each process that it starts.
LAUNCHERS: Mapping[str, tuple[str, ...]] = {
    'none': (),
    'pytorch': ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
}
_CHECKPOINT_SUFFIXES = ('.pth', '.pt', '.tar', '.safetensors')
_STARTED_BY = {'pytorch': 'torchrun', 'slurm': 'srun'}


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision with dynamic loss scaling.

    Raises:
        ConfigError: if the config brings an optimizer wrapper of its own, or there is no GPU.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ConfigError(
            key='optim_wrapper.type', value=kind, expected='OptimWrapper, for --amp to replace it'
        )
    if get_device() == 'cpu':
        raise ConfigError(key='--amp', value=True, expected='a GPU, this machine has none')
    wrapper['type'] = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    cfg.optim_wrapper = wrapper


def enable_resume(cfg: Config, resume: Literal[True] | str | Path) -> None:
    """Continue training, epochs, optimizer and all.

    Args:
        cfg: A config.
        resume: True for the latest checkpoint in the work folder (from the start where there is
            none), or the checkpoint to continue from.

    Raises:
        ConfigError: if that checkpoint does not exist.
    """
    cfg.resume = True
    cfg.load_from = None if resume is True else require_checkpoint(resume, key='--resume')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the real batch size over the one it was tuned for.

    Raises:
        ConfigError: if the config does not say which batch size that is.
    """
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not isinstance(base, int) or base < 1:
        raise ConfigError(
            key='auto_scale_lr.base_batch_size',
            value=base,
            expected='the batch size over all GPUs that the learning rate was tuned for, '
            'for --auto-scale-lr to scale from',
        )
    cfg.auto_scale_lr.enable = True


def use_launcher(cfg: Config, launcher: str) -> None:
    """Run on several processes, one per GPU, or on CPUs.

    Raises:
        ConfigError: if the launcher is unknown or did not start this process, or torchrun did and is not
            named.
    """
    if launcher not in LAUNCHERS:
        raise ConfigError(key='--launcher', value=launcher, expected=f'one of {", ".join(LAUNCHERS)}')
    absent = [name for name in LAUNCHERS[launcher] if name not in os.environ]
    if absent:
        raise ConfigError(
            key='--launcher',
            value=launcher,
            expected=f'a process started by {_STARTED_BY[launcher]}, but the environment lacks '
            f'{", ".join(absent)}',
        )
    processes = os.environ.get('WORLD_SIZE', '1')
    if launcher == 'none' and 'TORCHELASTIC_RUN_ID' in os.environ and processes != '1':
        raise ConfigError(
            key='--launcher',
            value=launcher,
            expected=f"'pytorch': torchrun started {processes} processes, which else would all do the same",
        )
    cfg.launcher = launcher


def require_checkpoint(checkpoint: str | Path, *, key: str) -> str:
    """The path of a checkpoint that exists, or that MMEngine will fetch (``https://`` and such).

    Args:
        checkpoint: Path or URL.
        key: The argument or config key it came from.

    Raises:
        ConfigError: if it is a local path without a file.
    """
    path = str(checkpoint)
    if not is_remote(path) and not os.path.isfile(path):
        raise ConfigError(
            key=key,
            value=path,
            expected=f'a checkpoint file, looked for {Path(path).absolute()}',
        )
    if not is_remote(path) and not path.endswith(_CHECKPOINT_SUFFIXES):
        raise ConfigError(
            key=key, value=path, expected=f'a file of weights ({", ".join(_CHECKPOINT_SUFFIXES)})'
        )
    return path
