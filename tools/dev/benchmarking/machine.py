"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    'hrnet_mm', 'torch', 'torchvision', 'mmengine', 'mmcv', 'mmpose', 'mmsegmentation', 'mmdet', 'mmpretrain',
    'timm', 'onnx', 'onnxruntime', 'openvino', 'numpy',
)  # fmt: skip


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, memory, system and GPU."""
    found: dict[str, Any] = {
        'processor': _processor(),
        'cpus': _cpus(),
        'memory_gib': _memory_gib(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'load_average': _load(),
    }
    if device == 'cuda':
        found['gpu'] = torch.cuda.get_device_name()
        found['cuda'] = torch.version.cuda
        found['tf32_in_convolutions'] = torch.backends.cudnn.allow_tf32
    return found


def versions() -> dict[str, str]:
    """Versions of the packages that take part, where they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def is_busy(machine: dict[str, Any]) -> bool:
    """Whether others were using the processors when the benchmark began."""
    load = machine['load_average']
    return load is not None and load > 0.5


def in_words(machine: dict[str, Any]) -> str:
    """One line."""
    gpu = f', {machine["gpu"]}' if 'gpu' in machine else ''
    return f'{machine["processor"]}, {machine["cpus"]} CPUs, {machine["memory_gib"]} GiB{gpu}'


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
    names = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(names, platform.processor() or platform.machine())


def _cpus() -> int:
    """Those that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    if not hasattr(os, 'sysconf') or 'SC_PHYS_PAGES' not in os.sysconf_names:
        return None
    return round(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30, 1)


def _load() -> float | None:
    """Processes that wanted to run during the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None
