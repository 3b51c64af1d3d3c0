"""From a config file and a command line to a config that is ready to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mmengine.config import Config
from mmengine.device import get_device

from .codebases import CODEBASES, require_scope, task_scopes
from .errors import ConfigError, one_line, users_line
from .files import find_config, require_checkpoint
from .options import merge_options
from .paths import reroot, type_name

#: What a launcher leaves in the environment of each process that it starts.
LAUNCHERS: Final[Mapping[str, tuple[str, ...]]] = {
    'none': (),
    'pytorch': ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
}
_STARTED_BY = {'pytorch': 'torchrun', 'slurm': 'srun'}
#: What configs of hrnet_mm 0.1 name for MMEngine's own log and TensorBoard's; goes with 0.3.
_BOTH = 'LocalTensorboardVisBackend'


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
    tensorboard: bool = False,
    cuda_graph: bool = False,
) -> Config:
    """Read a config of any codebase and apply what a user asks for on top.

    Args:
        path: The config file, or a package's own by name (see ``find_config``).
        options: Dotted key -> value, merged last over the file's values.
        work_dir: Folder for logs and checkpoints. Left out: the file's own ``work_dir``, or else
            ``./work_dirs/<name of the config>``.
        data_root: Folder of the data, instead of the file's ``data_root``.
        launcher: ``'none'``, ``'pytorch'`` or ``'slurm'``.
        amp: Train in mixed precision with dynamic loss scaling.
        resume: True to continue from the latest checkpoint in ``work_dir`` (from the start where there is
            none), or the checkpoint to continue from.
        auto_scale_lr: Scale the learning rate by the real batch size over the one it was tuned for.
        tensorboard: Write TensorBoard's event files beside MMEngine's own log.
        cuda_graph: Train backbone and neck from CUDA graphs (``hrnet_mm.CUDAGraphHook``).

    Returns:
        The config. Data paths are checked by ``run_train`` and ``run_test``, which know which of
        them will be read.

    Raises:
        ConfigError: in one line, what is wrong with the file or with an argument.
    """
    file = find_config(path)
    cfg = read_config(file)
    if data_root is not None:
        reroot(cfg, str(data_root))
    merge_options(cfg, options or {})
    _fill_in_loaders(cfg)
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or f'./work_dirs/{file.stem}')
    if Path(cfg.work_dir).is_file():
        raise ConfigError(key='work_dir', value=cfg.work_dir, expected='a folder, not a file')
    _check_launcher(launcher)
    cfg.launcher = launcher
    if amp:
        _enable_amp(cfg)
    if resume:
        cfg.resume = True
        cfg.load_from = None if resume is True else require_checkpoint(resume, key='--resume')
    if auto_scale_lr:
        _enable_auto_scale_lr(cfg)
    backends = (cfg.get('visualizer') or {}).get('vis_backends') or ()
    if tensorboard or any(type_name(backend['type']) == _BOTH for backend in backends):
        _add_tensorboard(cfg)
    if cuda_graph:
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), {'type': 'hrnet_mm.CUDAGraphHook'}]
    return cfg


def read_config(path: Path) -> Config:
    """What a config file says, with all of its bases.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program: it can fail in any way
        if users_line(error, imported=True) is not None:
            raise  # a module of the user's own, which the config imports
        missing = str(error) if isinstance(error, ImportError) else ''  # of _base_ = 'mmseg::...'
        names = (name for name, known in CODEBASES.items() if missing.startswith((name, known.distribution)))
        hint = next((f'; {CODEBASES[name].install_hint}' for name in names), '')
        expected = f'a readable config ({one_line(error)}){hint}'
        raise ConfigError(key='config', value=str(path), expected=expected) from error


def _fill_in_loaders(cfg: Config) -> None:
    """What a package's own tools fill in; and torch refuses workers that persist where there are none."""
    scopes, alone = task_scopes(cfg), require_scope(cfg)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(key) is None:
            continue
        of_tasks = scopes and 'dataset' not in cfg[key]
        holder, known = (cfg[key], scopes) if of_tasks else (cfg, {key: alone})
        for name, scope in known.items():
            if holder.get(name) is not None:
                holder[name] = {**(CODEBASES[scope].loader if scope in CODEBASES else {}), **holder[name]}
                if holder[name].get('num_workers') == 0:
                    holder[name].persistent_workers = False


def _check_launcher(launcher: str) -> None:
    """A launcher has to be known and to have started this process, and torchrun has to be named."""
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


def _enable_amp(cfg: Config) -> None:
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        expected = 'OptimWrapper, for --amp to replace it'
        raise ConfigError(key='optim_wrapper.type', value=kind, expected=expected)
    if get_device() == 'cpu':
        raise ConfigError(key='--amp', value=True, expected='a GPU, this machine has none')
    wrapper['type'] = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    cfg.optim_wrapper = wrapper


def _enable_auto_scale_lr(cfg: Config) -> None:
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if not isinstance(base, int) or base < 1:
        raise ConfigError(
            key='auto_scale_lr.base_batch_size',
            value=base,
            expected='the batch size over all GPUs that the learning rate was tuned for, '
            'for --auto-scale-lr to scale from',
        )
    cfg.auto_scale_lr.enable = True


def _add_tensorboard(cfg: Config) -> None:
    """Behind the backends that the config has: without one, MMEngine writes its own log."""
    visualizer = dict(cfg.get('visualizer') or {'type': 'Visualizer'})
    local = {'type': 'LocalVisBackend'}
    given = visualizer.get('vis_backends') or [local]
    backends = [local if type_name(backend['type']) == _BOTH else backend for backend in given]
    if not any('Tensorboard' in type_name(backend['type']) for backend in backends):
        backends.append({'type': 'TensorboardVisBackend'})
    cfg.visualizer = {**visualizer, 'vis_backends': backends}
