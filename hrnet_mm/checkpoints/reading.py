"""From a file to its tensors, told by content and without executing anything the file says.

Files are read under ``weights_only=True``. Beside the weights, MMEngine's training checkpoints hold logged
scalars (``HistoryBuffer`` over numpy arrays) and data set metadata (numpy arrays), which torch refuses unless
they are named as safe (MMEngine issue 1655). Exactly they are, and only while a file is read.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from ..models.stages import Upsampling
from .files import CheckpointError

#: Our entry in the ``meta`` of a checkpoint; it records the fusion upsampling that weights were trained with.
RECORD = 'hrnet_mm'
_EXPECTED = 'a PyTorch (.pth, .pth.tar, .pt) or .safetensors file of weights'
#: How files begin that are often saved in place of weights, and what they are.
_IMPOSTORS: Final[Mapping[bytes, str]] = {
    rb'\Z': 'is empty',
    rb'\s*<': 'is a web page, not weights (was the download a login or an error page?)',
    rb'version https://git-lfs': 'is a git-lfs pointer, not the weights (git lfs pull fetches them)',
    rb'\x1f\x8b': 'is a gzip archive, not weights (unpack it first)',
    rb'.{257}ustar': 'is a tar archive, not weights (unpack it first)',
}
#: How torch names what it refuses to call or to build.
_REFUSED = re.compile(r'(?:GLOBAL|class|function|instantiate|call)\s+([A-Za-z_]\w*(?:\.\w+)+)')
#: Entries that training codes keep weights under, in the order they are looked for.
_WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights', 'params')
_DEEPEST = 8  # wrappers in wrappers; a file may hold itself


def _history_statistic(owner: object, name: object) -> Any:
    """Stand in for the ``getattr(HistoryBuffer, name)`` that its pickle says, and for nothing else."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint is not allowed')
    return getattr(HistoryBuffer, name)


_DTYPES = map(np.dtype, ('float64', 'float32', 'int64', 'int32', 'uint8', 'bool'))
#: What training checkpoints hold beside tensors, by its name in a pickle; numpy 1 and 2 have different ones.
_TRAINING_CLASSES: Final[Mapping[str, Any]] = {
    'builtins.getattr': _history_statistic,
    **{
        f'{each.__module__}.{each.__qualname__}': each
        for each in (HistoryBuffer, np.ndarray, np.dtype, *map(type, _DTYPES))
    },
    **{
        f'numpy.{core}.multiarray.{rebuild.__name__}': rebuild  # type: ignore[union-attr]
        for rebuild in (np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0])
        for core in ('core', '_core')
    },
}
_safe_list = threading.RLock()


@contextmanager
def allow_training_checkpoints() -> Iterator[None]:
    """While it is entered, ``torch.load(weights_only=True)`` reads MMEngine's training checkpoints.

    What MMEngine itself reads by path needs no help (``load_from``, ``resume``, ``Runner.load_checkpoint``);
    this is for a ``torch.load`` of your own. Classes that you named as safe yourself stay as you named them.
    """
    with _safe_list:  # torch's list is the process's: another thread's end must not come into our reading
        own = torch.serialization.get_safe_globals()
        names = {
            each[1] if isinstance(each, tuple) else f'{each.__module__}.{each.__qualname__}' for each in own
        }
        more = [(value, name) for name, value in _TRAINING_CLASSES.items() if name not in names]
        with torch.serialization.safe_globals(more):  # type: ignore[arg-type]
            yield


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    ``state`` are the tensors by name; ``meta`` is MMEngine's record of the training, if there is one;
    ``left`` names the file's other entries (optimizer, schedulers, ...).
    """

    source: str
    state: dict[str, Tensor]
    meta: dict[str, Any]
    left: tuple[str, ...]

    def trained_upsampling(self) -> Upsampling | None:
        """The fusion upsampling that ``meta`` records, ``None`` where it records none."""
        record = self.meta.get(RECORD)
        cfg = record.get('upsample_cfg') if isinstance(record, Mapping) else None
        try:
            return Upsampling.from_cfg(cfg) if isinstance(cfg, Mapping) else None
        except ValueError:
            return None


def upsample_cfg(upsampling: Upsampling) -> dict[str, Any]:
    """``upsample_cfg`` as a config spells it."""
    return {key: value for key, value in vars(upsampling).items() if value is not None}


def with_upsampling(meta: Mapping[str, Any], upsampling: Upsampling | None) -> dict[str, Any]:
    """``meta`` with the upsampling recorded, where it is known."""
    return {**meta, RECORD: {'upsample_cfg': upsample_cfg(upsampling)}} if upsampling else dict(meta)


def read_checkpoint(path: str | os.PathLike[str], *, ema: bool = False) -> Checkpoint:
    """Read the weights of a file of any publisher.

    Args:
        path: A ``.pth``, ``.pth.tar``, ``.pt`` or ``.safetensors`` file; its content decides, not its name.
        ema: Take ``ema_state_dict`` instead of ``state_dict``. MMEngine's ``EMAHook`` swaps the two when
            it saves, so that there ``state_dict`` is the average and this gives the raw weights.

    Raises:
        CheckpointError: the file is missing, empty, truncated, not a checkpoint, or holds more than data.
    """
    return unwrap(load_file(path), source=str(path), ema=ema)


def load_file(path: str | os.PathLike[str], map_location: Any = 'cpu') -> Any:
    """What ``torch.save`` or safetensors wrote.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(source=path, problem='is not there', expected=_EXPECTED)
    with path.open('rb') as file:
        start = file.read(512)
    # a safetensors file begins with eight bytes, the length of a JSON header, and then the header
    is_safetensors = start[8:9] == b'{'
    for pattern, problem in {} if is_safetensors else _IMPOSTORS.items():
        if re.match(pattern, start, re.DOTALL):
            raise CheckpointError(source=path, problem=problem, expected=_EXPECTED)
    with plain_errors(path):
        if is_safetensors:
            return _load_safetensors(path, map_location)
        if start.startswith(b'PK\x03\x04'):
            _refuse_bombs(path)
        with allow_training_checkpoints():
            return torch.load(path, map_location=map_location, weights_only=True)


def _refuse_bombs(path: Path) -> None:
    """A zip unpacks to no more than its own size: torch does not compress, so a larger one is a bomb."""
    with zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    if claimed > path.stat().st_size:
        raise zipfile.BadZipFile('its members are larger than the file')


def require_safetensors(path: str | os.PathLike[str]) -> Any:
    """The module ``safetensors.torch``, for a file.

    Raises:
        CheckpointError: it is not installed.
    """
    try:
        import safetensors.torch
    except ImportError as error:
        raise CheckpointError(
            source=path,
            problem='needs the package safetensors',
            expected='it installed: pip install safetensors',
        ) from error
    return safetensors.torch


def _load_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    with require_safetensors(path).safe_open(path, framework='pt', device=device) as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
        record = json.loads((file.metadata() or {}).get(RECORD, '{}'))
    return {'state_dict': state, 'meta': {RECORD: record}} if record else state


@contextmanager
def plain_errors(source: object) -> Iterator[None]:
    """Turn what ``torch.load`` and safetensors raise of a file into a :class:`CheckpointError`."""
    try:
        yield
    except (CheckpointError, OSError):  # no network, no permission: they say so themselves
        raise
    except Exception as error:  # damaged files make torch and safetensors fail in many ways
        unpickling = isinstance(error, pickle.UnpicklingError)
        refused = _REFUSED.search(str(error)) if unpickling else None
        if refused is not None:
            raise CheckpointError(
                source=source,
                problem=f'holds Python objects besides tensors ({refused[1]}), which are never executed',
                expected='a file of weights; where you trust its origin, save the state_dict alone, or name '
                'its classes in torch.serialization.add_safe_globals',
            ) from error
        # torch's own advice in these messages is to execute the file
        lines = [] if unpickling else str(error).strip().splitlines()[:1]
        why = ': '.join([type(error).__name__, *(line[:120] for line in lines)])
        raise CheckpointError(
            source=source,
            problem=f'is damaged, truncated or no checkpoint at all ({why})',
            expected=_EXPECTED,
        ) from error


def unwrap(content: Any, *, source: str, ema: bool = False) -> Checkpoint:
    """Find the weights in what a file holds, however deeply wrapped.

    Args:
        content: what :func:`load_file` gives.
        source: the file, for messages.
        ema: as for :func:`read_checkpoint`.

    Raises:
        CheckpointError: there are none, or a tensor among them is no plain array of real numbers.
    """
    outer = content
    left: list[str] = []
    meta: dict[str, Any] = {}
    wrappers: tuple[str, ...] = ('ema_state_dict',) if ema else _WRAPPERS
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        # what else a forged file has for a key may take for ever to write out
        entries = {key: value for key, value in content.items() if isinstance(key, str)}
        state = {key: value for key, value in entries.items() if isinstance(value, Tensor)}
        if state and wrappers is _WRAPPERS:
            left += [key for key in entries if key not in state]
            _check_plain(state, source=source)
            return Checkpoint(source, state, meta, tuple(left))
        if isinstance(entries.get('meta'), Mapping):
            meta = dict(entries['meta'])
        inner = next((key for key in wrappers if isinstance(entries.get(key), Mapping)), None)
        left += [key for key in entries if key not in (inner, 'meta')]
        content, wrappers = entries.get(inner or ''), _WRAPPERS
    found = ', '.join(map(str, list(outer)[:5])) if isinstance(outer, Mapping) else type(outer).__name__
    by_name = f'tensors by name, alone or under {" or ".join(_WRAPPERS[:3])}'
    raise CheckpointError(
        source=source,
        problem=f'holds no weights (found: {found or "nothing"})',
        expected='ema_state_dict' if ema else by_name,
    )


def _check_plain(state: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse what cannot be copied to weights: tensors must be dense, real, and no larger than their data."""
    for name, value in state.items():
        strided = value.layout == torch.strided and not (value.is_meta or value.is_nested)
        real = not (value.is_quantized or value.is_complex())
        if strided and real and value.numel() * value.element_size() <= value.untyped_storage().nbytes():
            continue
        size = 'x'.join(map(str, value.shape))
        raise CheckpointError(
            source=source,
            problem=f'has a tensor under {name} of {size} numbers, {value.dtype}, {value.layout}, on '
            f'{value.device}, which are not all stored',
            expected='dense tensors of real numbers, with their data',
        )
