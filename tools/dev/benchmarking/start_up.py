"""How long it takes from nothing to the first output: import, build, first forward pass."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Any

from tqdm import tqdm

from hrnet_mm.config.errors import ConfigError

from .backbones import timms_name
from .matches import extra_of
from .request import Request
from .table import as_table

STEPS = ('torch', 'import', 'build', 'first forward', 'second forward')

# A fresh interpreter that knows nothing of hrnet_mm unless it is what is timed.
_PROGRAM = """
import json, time, warnings
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
    model(image)
    marks.append(time.perf_counter())
    model(image)
    marks.append(time.perf_counter())
print('seconds:', json.dumps([after - before for before, after in zip(marks, marks[1:])]))
"""


@dataclass(frozen=True)
class StartUp:
    """Seconds of every step of one contestant, one row per process."""

    name: str
    seconds: tuple[tuple[float, ...], ...]

    @property
    def medians(self) -> list[float]:
        """By step."""
        return [median(step) for step in zip(*self.seconds, strict=True)]

    @property
    def ready(self) -> float:
        """From nothing to the first output."""
        return median(sum(process[:4]) for process in self.seconds)


def _ours(request: Request) -> tuple[str, str]:
    return 'from hrnet_mm import HRNetBackbone', f'HRNetBackbone({request.arch!r}, norm_eval=False)'


def _packages(scope: str, request: Request) -> tuple[str, str]:
    cfg = {'type': 'HRNet', 'extra': extra_of(request.arch)}
    return f'import {scope}.models\nfrom {scope}.registry import MODELS', f'MODELS.build({cfg!r})'


def _timms(request: Request) -> tuple[str, str]:
    arguments = "pretrained=False, features_only=True, feature_location='', out_indices=(1, 2, 3, 4)"
    return 'import timm', f'timm.create_model({timms_name(request.arch)!r}, {arguments})'


def _programs(request: Request) -> Mapping[str, str]:
    sources = {
        peer: _timms(request) if peer == 'timm' else _packages(peer, request) for peer in request.matches
    }
    sources['ours'] = _ours(request)
    common: dict[str, Any] = {'threads': request.threads, 'batch': request.batch, 'shape': request.shape}
    return MappingProxyType(
        {
            name: _PROGRAM.format(imports=imports, build=build, **common)
            for name, (imports, build) in sources.items()
        }
    )


def measure_start_up(request: Request, *, progress: bool = False) -> tuple[StartUp, ...]:
    """Start every contestant in processes of its own, by turns.

    Raises:
        ConfigError: if ``--what`` is not the backbone, or a process fails.
    """
    if request.what != 'backbone':
        raise ConfigError(key='--start-up', value=request.what, expected='--what backbone with it')
    programs = _programs(request)
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in programs}
    # the first turn, in which files come into the system's cache, does not count
    with tqdm(total=(request.rounds + 1) * len(programs), unit='process', disable=not progress) as bar:
        for turn in range(request.rounds + 1):
            for name, program in programs.items():
                bar.set_postfix_str(name)
                seconds = _run(name, program)
                if turn:
                    taken[name].append(seconds)
                bar.update()
    return tuple(StartUp(name, tuple(rows)) for name, rows in taken.items())


def _run(name: str, program: str) -> tuple[float, ...]:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, check=False
    )
    answers = [line for line in done.stdout.splitlines() if line.startswith('seconds: ')]
    if done.returncode or not answers:
        reason = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise ConfigError(key='contestant', value=name, expected=f'one that starts ({reason})')
    return tuple(json.loads(answers[-1].removeprefix('seconds: ')))


def start_up_as_text(found: Sequence[StartUp]) -> str:
    """A table of medians, in milliseconds."""
    ours = next(row for row in found if row.name == 'ours')
    rows = [
        [row.name, *(f'{1000 * s:.0f}' for s in (*row.medians, row.ready)), f'{row.ready / ours.ready:.2f}']
        for row in found
    ]
    return as_table([['ms', *STEPS, 'to the first output', 'this / ours'], *rows])


def start_up_record(found: Sequence[StartUp]) -> dict[str, Any]:
    """Everything, as JSON takes it."""
    return {'steps': list(STEPS), 'processes': {row.name: [list(s) for s in row.seconds] for row in found}}
