"""What came out, as text with tables in Markdown and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from typing import Any

import torch
from torch.utils import collect_env

from hrnet_mm.utils import markdown_table

from .request import Request
from .timer import Samples

_MIB = 2**20
_PACKAGES = (
    'hrnet_mm', 'torch', 'torchvision', 'mmengine', 'mmcv', 'mmpose', 'mmsegmentation', 'mmdet', 'mmpretrain',
    'timm', 'onnx', 'onnxruntime', 'openvino', 'numpy',
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What one contestant did.

    Attributes:
        name: Its name.
        is_ours: Whether it is one of ours.
        precision: What it computes in.
        samples: Its times.
        peak: Bytes, ``None`` where they cannot be told.
        error: Largest relative difference of its outputs from those of the plain network with its weights,
            ``None`` for that one.
    """

    name: str
    is_ours: bool
    precision: str
    samples: Samples
    peak: int | None
    error: float | None


@dataclass(frozen=True)
class MatchReport:
    """All rows of one match, the plain peer first."""

    name: str
    rows: tuple[Row, ...]

    def ratios(self, row: Row) -> dict[str, float]:
        """By contestant that is not ours: its median over the row's."""
        others = [other for other in self.rows if not other.is_ours]
        return {other.name: other.samples.median / row.samples.median for other in others}


@dataclass(frozen=True)
class Report:
    """A benchmark: the command as typed, date and time in UTC, what it ran on, what was asked, and found."""

    command: str
    started: str
    machine: Mapping[str, Any]
    request: Request
    matches: tuple[MatchReport, ...]

    def as_record(self) -> dict[str, Any]:
        """Everything, as JSON takes it, with the medians and their ratios."""
        record = asdict(self)
        for match, found in zip(self.matches, record['matches'], strict=True):
            for row, cells in zip(match.rows, found['rows'], strict=True):
                cells |= {'median': row.samples.median, 'ratios': match.ratios(row)}
        return record

    def as_text(self) -> str:
        """What was measured, and a table per match."""
        request, machine = self.request, self.machine
        way = 'inference' if request.mode == 'infer' else 'training'
        lines = [
            f'{request.kind.title}, {request.arch}, {way}, {request.size}, {request.precision}',
            f'{machine["processor"]}, {machine["cpus"]} CPUs, {machine["device"]}, '
            f'{request.threads} threads, torch {machine["versions"]["torch"]}, {request.rounds} rounds',
        ]
        if machine['load_average'] > 0.5:
            lines.append(f'the machine was busy (load {machine["load_average"]}): times are unreliable')
        return '\n\n'.join(['\n'.join(lines), *map(_table, self.matches)])


def _table(match: MatchReport) -> str:
    others = match.ratios(match.rows[0])
    head = ['contestant', 'ms', 'quartiles', 'peak MiB', 'error', *(f'{name} / this' for name in others)]
    rows = []
    for row in match.rows:
        quartiles = '–'.join(map(in_milliseconds, row.samples.quartiles))
        error = '–' if row.error is None else f'{row.error:.1e}'
        cells = [row.name, in_milliseconds(row.samples.median), quartiles, in_mebibytes(row.peak), error]
        rows.append([*cells, *(f'{ratio:.2f}' for ratio in match.ratios(row).values())])
    return markdown_table(head, rows)


def in_milliseconds(seconds: float) -> str:
    """Three digits."""
    value = 1000 * seconds
    return f'{value:.0f}' if value >= 100 else f'{value:.3g}'


def in_mebibytes(peak: int | None) -> str:
    """Whole ones; a dash where there is nothing to tell."""
    return '–' if peak is None else f'{peak / _MIB:.0f}'


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, GPU, system, load and versions of the packages that take part."""
    lscpu = collect_env.get_cpu_info(collect_env.run) or ''
    names = [line.partition(':')[2].strip() for line in lscpu.splitlines() if 'odel name' in line]
    return {
        'processor': next(iter(names), platform.processor()),
        'cpus': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'device': torch.cuda.get_device_name() if device == 'cuda' else 'no GPU used',
        'cuda': torch.version.cuda,
        'tf32_in_convolutions': torch.backends.cudnn.allow_tf32,
        'system': platform.platform(),
        'python': platform.python_version(),
        'load_average': round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else 0.0,
        'versions': {each.name: each.version for each in distributions() if each.name in _PACKAGES},
    }
