"""How long it takes from nothing to the first output: import, build, first forward pass."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Final

from tqdm import tqdm

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.utils import markdown_table

from .networks import extra_of, timm_arguments
from .request import Request

STEPS: Final = ('torch', 'import', 'build', 'first forward', 'second forward')
# A fresh interpreter that knows nothing of hrnet_mm unless it is what is timed.
_PROGRAM: Final = """
import time, warnings
warnings.simplefilter('ignore')
marks = [time.perf_counter()]
import torch
torch.set_num_threads({threads})
marks.append(time.perf_counter())
{imports}
marks.append(time.perf_counter())
model = {build}
marks.append(time.perf_counter())
image = torch.zeros({batch}, 3, *{shape})
model.eval()
with torch.no_grad():
    for _ in range(2):
        model(image)
        marks.append(time.perf_counter())
print('seconds:', *(after - before for before, after in zip(marks, marks[1:])))
"""


def measure_start_up(request: Request, *, progress: bool = False) -> dict[str, list[list[float]]]:
    """Start every contestant in processes of its own, by turns.

    Returns:
        Name -> for each process its seconds of each of the ``STEPS``.

    Raises:
        ConfigError: if ``--what`` is not the backbone, or a process fails.
    """
    if request.what != 'backbone':
        raise ConfigError(key='--start-up', value=request.what, expected='--what backbone with it')
    sources = {peer: _source(peer, request) for peer in (*request.peers, 'ours')}
    taken: dict[str, list[list[float]]] = {name: [] for name in sources}
    # the first turn, in which files come into the system's cache, does not count
    for turn in tqdm(range(request.rounds + 1), unit='turn', disable=not progress):
        for name, (imports, build) in sources.items():
            how = {'threads': request.threads, 'batch': request.batch, 'shape': request.shape}
            seconds = _run(name, _PROGRAM.format(imports=imports, build=build, **how))
            taken[name] += [seconds] if turn else []
    return taken


def _source(name: str, request: Request) -> tuple[str, str]:
    """Python that imports and that builds a backbone."""
    if name == 'ours':
        return 'from hrnet_mm import HRNetBackbone', f'HRNetBackbone({request.arch!r}, norm_eval=False)'
    if name == 'timm':
        return 'import timm', f'timm.create_model(**{timm_arguments(request.arch)!r})'
    settings = {'type': 'HRNet', 'extra': extra_of(request.arch)}
    return f'import {name}.models\nfrom {name}.registry import MODELS', f'MODELS.build({settings!r})'


def _run(name: str, program: str) -> list[float]:
    command = [sys.executable, '-W', 'ignore', '-c', program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _, found, seconds = done.stdout.rpartition('seconds: ')
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise ConfigError(key='contestant', value=name, expected=f'one that starts ({reason})')
    return [float(number) for number in seconds.split()]


def start_up_as_text(taken: dict[str, list[list[float]]]) -> str:
    """A table of medians, in milliseconds."""
    ready = {name: median(sum(process[:4]) for process in rows) for name, rows in taken.items()}
    rows = []
    for name, processes in taken.items():
        medians = [median(step) for step in zip(*processes, strict=True)]
        cells = [f'{1000 * seconds:.0f}' for seconds in (*medians, ready[name])]
        rows.append([name, *cells, f'{ready[name] / ready["ours"]:.2f}'])
    return markdown_table(['ms', *STEPS, 'to the first output', 'this / ours'], rows)
