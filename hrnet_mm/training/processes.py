"""Several processes as one job: how they meet, wrap the model and agree on mistakes."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather_object, get_world_size, init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed, nn

from ..checkpoints import CheckpointError
from ..config.errors import ConfigError, refused
from ..registry import MODEL_WRAPPERS, register_in_scope

#: Seconds that a process may keep the others waiting, at most: torch's own default for gloo. The first
#: process computes the metrics alone, so this must be longer than the longest evaluation.
TIMEOUT = 1800

Result = TypeVar('Result')


class LostProcess(RuntimeError):
    """Another process of the job died or hangs; the text says when, and what is left."""


class Interrupted(KeyboardInterrupt):
    """A run was told to stop; the text says when, and how to go on.

    Args:
        message: the text.
        number: of the signal, SIGINT (Ctrl-C) or SIGTERM.
    """

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message, number)
        self.exit_code = 128 + number  # as a shell has it

    def __str__(self) -> str:
        return str(self.args[0])


def start_group(cfg: Config) -> None:
    """Connect the processes that ``cfg.launcher`` started; nothing to do for one alone, or where it is done.

    A runner that finds a group uses it. On GPUs this is MMEngine's ``init_dist`` with ``env_cfg.dist_cfg``;
    without, its ``backend`` does not matter, ``timeout`` does (seconds, default 1800).

    Raises:
        ConfigError: a timeout that is none, more processes than GPUs, srun without GPUs, or some processes
            did not come.
    """
    if cfg.get('launcher', 'none') == 'none':
        return
    env_cfg = cfg.get('env_cfg') or {}
    dist_cfg = dict(env_cfg.get('dist_cfg') or {})
    timeout = dist_cfg.get('timeout', TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0:
        expected = 'a number of seconds above 0, as in 1800'
        raise ConfigError(key='env_cfg.dist_cfg.timeout', value=timeout, expected=expected)
    if is_distributed():
        return
    # before the group, as MMEngine does it: init_dist would choose another way to start data workers
    set_multi_processing(**(env_cfg.get('mp_cfg') or {}), distributed=True)
    if get_device() != 'cpu':
        rank, gpus = int(os.environ.get('LOCAL_RANK', '0')), torch.cuda.device_count()
        if torch.cuda.is_available() and rank >= gpus:  # which would end in a traceback of CUDA's
            expected = f'one process per GPU, and this machine has {gpus}'
            raise ConfigError(key='LOCAL_RANK', value=rank, expected=expected)
        init_dist(cfg.launcher, **dist_cfg)
        return
    if cfg.launcher == 'slurm':
        expected = 'GPUs to start by srun alone; without, srun starts torchrun, with --launcher pytorch'
        raise ConfigError(key='--launcher', value='slurm', expected=expected)
    place = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
    expected = f'all {os.environ["WORLD_SIZE"]} processes to meet at {place} within {timeout} s'
    with refused('--launcher', cfg.launcher, expected=expected):
        distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))


@register_in_scope(MODEL_WRAPPERS)
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """``MMDistributedDataParallel`` whose synchronised batch norms become ordinary ones, with one notice.

    PyTorch and mmcv synchronise statistics on GPUs alone. Names of weights and buffers stay.

    Args:
        module: the model.
        device_ids: ignored; MMEngine passes the number of a GPU.
        **kwargs: of ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, *, device_ids: Any = None, **kwargs: Any) -> None:
        synchronised = sum(type(part).__name__ == 'SyncBatchNorm' for part in module.modules())
        if synchronised:
            print_log(
                f'{synchronised} SyncBN layers become ordinary batch norm, because statistics are '
                'synchronised on GPUs alone: each process normalises by its own batch and keeps its own '
                "running statistics; checkpoints hold the first process's",
                logger='current',
                level=logging.WARNING,
            )
            module = revert_sync_batchnorm(module)
        super().__init__(module, device_ids=None, **kwargs)


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
    plain = 'MMDistributedDataParallel'
    if wrapper.setdefault('type', plain) == plain:
        wrapper['type'] = 'hrnet_mm.CPUDistributedDataParallel'
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper


def agreed(check: Callable[[], Result]) -> Result:
    """Run a check on every process of the group; what one refuses, all refuse.

    Returns:
        What the check found on this process.

    Raises:
        ConfigError, CheckpointError: the first process's that has one.
    """
    if get_world_size() == 1:
        return check()
    result: Any = None
    own: Exception | None = None
    try:
        result = check()
    except (ConfigError, CheckpointError) as error:
        own = error
    for refusal in all_gather_object(own):
        if refusal is not None:
            raise refusal from own
    return result
