"""What srun tells a process, put where torch looks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from ..config.errors import ConfigError

#: srun's variable -> torch's
_NAMES: Mapping[str, str] = {
    'SLURM_PROCID': 'RANK',
    'SLURM_NTASKS': 'WORLD_SIZE',
    'SLURM_LOCALID': 'LOCAL_RANK',
}
_PORT = '29500'  # torch's own default


def take_over_slurm(port: int | None = None) -> None:
    """Set ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT``, as MMEngine does.

    Args:
        port: of the first node; left out, ``MASTER_PORT`` as it is, or 29500.

    Raises:
        ConfigError: if there are several nodes, and nobody to ask which is the first.
    """
    for theirs, ours in _NAMES.items():
        os.environ[ours] = os.environ.get(theirs, '0')
    if port is not None:
        os.environ['MASTER_PORT'] = str(port)
    os.environ.setdefault('MASTER_PORT', _PORT)
    if 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_node(os.environ['SLURM_NODELIST'])


def _first_node(nodes: str) -> str:
    if not set(nodes) & set('[,'):
        return nodes
    if shutil.which('scontrol') is None:
        raise ConfigError(
            key='MASTER_ADDR',
            value=None,
            expected=f'the address of the first of the nodes {nodes}; there is no scontrol to ask',
        )
    names = subprocess.run(
        ['scontrol', 'show', 'hostnames', nodes], check=True, capture_output=True, text=True
    ).stdout.split()
    return names[0]
