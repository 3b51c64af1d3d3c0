"""The process group of a job: MMEngine's own on GPUs, gloo without."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed

from ..config.errors import ConfigError, one_line
from .slurm import take_over_slurm

#: Seconds that a process may keep the others waiting, at most: torch's own default for gloo. The first
#: process computes the metrics alone, so this must be longer than the longest evaluation.
TIMEOUT = 1800
_WRAPPER = 'MMDistributedDataParallel'


def start_group(cfg: Config) -> None:
    """Connect the processes that ``cfg.launcher`` started; nothing to do for one alone, or where it is done.

    A runner that finds a group uses it. On GPUs this is MMEngine's ``init_dist`` with ``env_cfg.dist_cfg``;
    without, its ``backend`` does not matter, ``timeout`` (seconds, default 1800) and ``port`` do.

    Raises:
        ConfigError: a timeout that is none, more processes than GPUs, or some of them did not come.
    """
    if cfg.get('launcher', 'none') == 'none':
        return
    env_cfg = cfg.get('env_cfg') or {}
    dist_cfg = dict(env_cfg.get('dist_cfg') or {})
    timeout = _checked_timeout(dist_cfg)
    if is_distributed():
        return
    # before the group, as MMEngine does it: init_dist would choose another way to start data workers
    set_multi_processing(**(env_cfg.get('mp_cfg') or {}), distributed=True)
    if get_device() != 'cpu':
        _check_gpus()
        init_dist(cfg.launcher, **dist_cfg)
        return
    if cfg.launcher == 'slurm':
        take_over_slurm(dist_cfg.get('port'))
    try:
        distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    except RuntimeError as error:  # torch's DistError among them
        raise ConfigError(
            key='--launcher',
            value=cfg.launcher,
            expected=f'all {os.environ["WORLD_SIZE"]} processes to meet at {os.environ["MASTER_ADDR"]}:'
            f'{os.environ["MASTER_PORT"]} within {timeout} s ({one_line(error)})',
        ) from error


def wrap_for_cpu(cfg: Config) -> None:
    """Let the runner wrap the model for a group without GPUs; nothing to do elsewhere.

    MMEngine hands the number of a GPU to whatever wraps the model. A wrapper that the config chooses itself
    stays, without that number.
    """
    if cfg.get('launcher', 'none') == 'none' or get_device() != 'cpu':
        return
    wrapper = dict(
        cfg.get('model_wrapper_cfg')
        # what MMEngine sets where a config leaves it out
        or dict(broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False))
    )
    if wrapper.setdefault('type', _WRAPPER) == _WRAPPER:
        wrapper['type'] = 'hrnet_mm.CPUDistributedDataParallel'
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper


def _checked_timeout(dist_cfg: dict[str, object]) -> float:
    timeout = dist_cfg.get('timeout', TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0:
        raise ConfigError(
            key='env_cfg.dist_cfg.timeout', value=timeout, expected='a number of seconds above 0, as in 1800'
        )
    return timeout


def _check_gpus() -> None:
    """More processes than GPUs end in a traceback of CUDA's."""
    rank, gpus = int(os.environ.get('LOCAL_RANK', '0')), torch.cuda.device_count()
    if torch.cuda.is_available() and rank >= gpus:
        raise ConfigError(
            key='LOCAL_RANK', value=rank, expected=f'one process per GPU, and this machine has {gpus}'
        )
