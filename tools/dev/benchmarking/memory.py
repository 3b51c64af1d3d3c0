"""Peak memory of one run: of live tensors, of a GPU's allocator, or of a process."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import torch

from hrnet_mm.analysis.memory import PeakMemory
from hrnet_mm.config.errors import ConfigError

from .contestants import Contestant

_KIB = 1024
_STATUS, _CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def peak_of_tensors(contestant: Contestant, device: str) -> int | None:
    """Most bytes of tensors alive at once during a run, weights and inputs included.

    ``None`` where torch does not see them: programs outside it, and compiled code on a CPU.
    """
    if device == 'cuda':
        return _peak_on_gpu(contestant)
    if not contestant.runner.is_watchable:
        return None
    held = contestant.runner.tensors()
    memory = PeakMemory()
    memory.watch(x for x in held if x.layout == torch.strided)
    packed = sum(x.numel() * x.element_size() for x in held if x.layout != torch.strided)
    with memory:
        contestant.runner.run()
    return memory.peak + packed


def _peak_on_gpu(contestant: Contestant) -> int:
    """The allocator's peak; what belongs to other contestants is taken off."""
    held = PeakMemory()
    held.watch(contestant.runner.tensors())
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    contestant.runner.run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before + held.current


def resident() -> int:
    """Bytes of this process that are in memory.

    Raises:
        ConfigError: if the system does not tell.
    """
    return _status('VmRSS')


def peak_resident() -> int:
    """The most that were since :func:`forget_peak`."""
    return _status('VmHWM')


def forget_peak() -> None:
    """Give freed memory back to the system, and start to look for a new peak."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'malloc_trim'):
        libc.malloc_trim(0)
    if not _CLEAR.exists():
        raise _untold()
    _CLEAR.write_text('5', encoding='ascii')  # proc(5): resets VmHWM


def _status(key: str) -> int:
    if not _STATUS.exists():
        raise _untold()
    line = next(line for line in _STATUS.read_text(encoding='ascii').splitlines() if line.startswith(key))
    return int(line.split()[1]) * _KIB


def _untold() -> ConfigError:
    return ConfigError(key='--memory', value='process', expected='Linux for it, which tells it in /proc')
