"""Several processes as one job: how they meet, wrap the model, agree on mistakes and speak with one voice."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather_object, get_world_size, init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from ..checkpoints import CheckpointError
from ..config.errors import ConfigError, one_line
from ..registry import MODEL_WRAPPERS, register_in_scope

#: Seconds that a process may keep the others waiting, at most: torch's own default for gloo. The first
#: process computes the metrics alone, so this must be longer than the longest evaluation.
TIMEOUT = 1800
#: srun's variable -> torch's
_SLURM: Final[Mapping[str, str]] = {
    'SLURM_PROCID': 'RANK',
    'SLURM_NTASKS': 'WORLD_SIZE',
    'SLURM_LOCALID': 'LOCAL_RANK',
}
_PORT = '29500'  # torch's own default
_WRAPPER = 'MMDistributedDataParallel'
_ADDRESS = ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
_PATIENCE = 5.0  # seconds that a process which is about to end waits for the others, at most

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
    without, its ``backend`` does not matter, ``timeout`` (seconds, default 1800) and ``port`` do.

    Raises:
        ConfigError: a timeout that is none, more processes than GPUs, or some of them did not come.
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


def take_over_slurm(port: int | None = None) -> None:
    """Set ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT``, as MMEngine does.

    Args:
        port: of the first node; left out, ``MASTER_PORT`` as it is, or 29500.

    Raises:
        ConfigError: if there are several nodes, and nobody to ask which is the first.
    """
    for theirs, ours in _SLURM.items():
        os.environ[ours] = os.environ.get(theirs, '0')
    if port is not None:
        os.environ['MASTER_PORT'] = str(port)
    os.environ.setdefault('MASTER_PORT', _PORT)
    nodes = os.environ['SLURM_NODELIST']
    if 'MASTER_ADDR' in os.environ:
        return
    if set(nodes) & set('[,'):
        if shutil.which('scontrol') is None:
            expected = f'the address of the first of the nodes {nodes}; there is no scontrol to ask'
            raise ConfigError(key='MASTER_ADDR', value=None, expected=expected)
        ask = ['scontrol', 'show', 'hostnames', nodes]
        nodes = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()[0]
    os.environ['MASTER_ADDR'] = nodes


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
    if wrapper.setdefault('type', _WRAPPER) == _WRAPPER:
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
    refused: Exception | None = None
    try:
        result = check()
    except (ConfigError, CheckpointError) as error:
        refused = error
    for refusal in all_gather_object(refused):
        if refusal is not None:
            raise refusal from refused
    return result


def once_per_job(topic: str) -> bool:
    """Whether this process is the first of its job to ask; True also where nobody can be asked.

    Asking rank zero would not do: it may be the one that is lost. This works before there is a process group
    and after that broke, by the store that the processes meet at: torchrun's own, or else the first
    process's, which waits until all have asked.

    Args:
        topic: what is to be said once.
    """
    place = {name: os.environ.get(name, '') for name in _ADDRESS}
    if not all(place.values()) or int(place['WORLD_SIZE']) < 2:
        return True
    hosts = int(place['RANK']) == 0 and os.environ.get('TORCHELASTIC_USE_AGENT_STORE') != 'True'
    try:
        store = TCPStore(
            place['MASTER_ADDR'],
            int(place['MASTER_PORT']),
            is_master=hosts,
            wait_for_workers=False,
            timeout=timedelta(seconds=_PATIENCE),
            multi_tenant=True,
        )
        first = store.add(topic, 1) == 1
        end = time.monotonic() + _PATIENCE
        while hosts and store.add(topic, 0) < int(place['WORLD_SIZE']) and time.monotonic() < end:
            time.sleep(0.05)
    except (RuntimeError, ValueError):  # torch's DistError is a RuntimeError
        return True
    return first
