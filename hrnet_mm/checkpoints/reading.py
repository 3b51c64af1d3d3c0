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
_IMPOSTORS: Final[dict[bytes, str]] = {
    b'<': 'is a web page, not weights (was the download a login or an error page?)',
    b'version https://git-lfs': 'is a git-lfs pointer, not the weights (git lfs pull fetches them)',
    b'\x1f\x8b': 'is a gzip archive, not weights (unpack it first)',
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


_NUMPY_REBUILDS: tuple[Any, ...] = (np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0])
#: What training checkpoints hold beside tensors, by its name in a pickle; numpy 1 and 2 have different ones.
_TRAINING_CLASSES: Final[dict[str, Any]] = {
    f'{HistoryBuffer.__module__}.HistoryBuffer': HistoryBuffer,
    'builtins.getattr': _history_statistic,
    'numpy.ndarray': np.ndarray,
    'numpy.dtype': np.dtype,
    **{
        f'numpy.dtypes.{type(dtype).__name__}': type(dtype)
        for dtype in map(np.dtype, ('float64', 'float32', 'int64', 'int32', 'uint8', 'bool'))
    },
    **{
        f'numpy.{core}.multiarray.{rebuild.__name__}': rebuild
        for rebuild in _NUMPY_REBUILDS
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
    checkpoint = unwrap(load_file(path), source=str(path), ema=ema)
    check_plain(checkpoint.state, source=checkpoint.source)
    return checkpoint


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
    is_safetensors = path.suffix == '.safetensors' or start[8:9] == b'{'
    _refuse_impostors(path, start, is_safetensors=is_safetensors)
    try:
        if is_safetensors:
            return _load_safetensors(path, map_location)
        if start.startswith(b'PK\x03\x04'):
            _check_zip(path)
        with allow_training_checkpoints():
            return torch.load(path, map_location=map_location, weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # damaged files make torch and safetensors fail in many ways
        raise explain(error, source=path) from error


def _refuse_impostors(path: Path, start: bytes, *, is_safetensors: bool) -> None:
    problem = None
    if not start:
        problem = 'is empty'
    elif start[257:262] == b'ustar':
        problem = 'is a tar archive, not weights (unpack it first)'
    elif not is_safetensors:
        found = (what for beginning, what in _IMPOSTORS.items() if start.lstrip().startswith(beginning))
        problem = next(found, None)
    if problem is not None:
        raise CheckpointError(source=path, problem=problem, expected=_EXPECTED)


def _check_zip(path: Path) -> None:
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


def explain(error: Exception, *, source: object) -> CheckpointError:
    """The :class:`CheckpointError` for what ``torch.load`` or safetensors raised."""
    unpickling = isinstance(error, pickle.UnpicklingError)
    refused = _REFUSED.search(str(error)) if unpickling else None
    if refused is not None:
        return CheckpointError(
            source=source,
            problem=f'holds Python objects besides tensors ({refused.group(1)}), which are never executed',
            expected='a file of weights; where you trust its origin, save the state_dict alone, or name its '
            'classes in torch.serialization.add_safe_globals',
        )
    # torch's own advice in these messages is to execute the file
    lines = [] if unpickling else str(error).strip().splitlines()[:1]
    why = ': '.join([type(error).__name__, *(line[:120] for line in lines)])
    return CheckpointError(
        source=source, problem=f'is damaged, truncated or no checkpoint at all ({why})', expected=_EXPECTED
    )


def unwrap(content: Any, *, source: str, ema: bool = False) -> Checkpoint:
    """Find the weights in what a file holds, however deeply wrapped.

    Args:
        content: what :func:`load_file` gives.
        source: the file, for messages.
        ema: as for :func:`read_checkpoint`.

    Raises:
        CheckpointError: there are none.
    """
    outer = content
    left: list[str] = []
    meta: dict[str, Any] = {}
    wrappers = ('ema_state_dict',) if ema else _WRAPPERS
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping) or _has_tensors(content):
            break
        if isinstance(content.get('meta'), Mapping):
            meta = dict(content['meta'])
        inner = next((key for key in wrappers if isinstance(content.get(key), Mapping)), None)
        left += [_name(key) for key in content if key not in (inner, 'meta')]
        content = None if inner is None else content[inner]
        wrappers = _WRAPPERS
    if not _has_tensors(content) or (ema and content is outer):
        found = ', '.join(map(_name, list(outer)[:5])) if isinstance(outer, Mapping) else type(outer).__name__
        by_name = f'tensors by name, alone or under {" or ".join(_WRAPPERS[:3])}'
        raise CheckpointError(
            source=source,
            problem=f'holds no weights (found: {found or "nothing"})',
            expected='ema_state_dict' if ema else by_name,
        )
    state = {key: value for key, value in content.items() if _is_named_tensor(key, value)}
    left += [_name(key) for key in content if key not in state]
    return Checkpoint(source, state, meta, tuple(left))


def _is_named_tensor(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor)


def _has_tensors(content: object) -> bool:
    return isinstance(content, Mapping) and any(map(_is_named_tensor, content.keys(), content.values()))


def _name(key: object) -> str:
    # what else a forged file has for a key may take for ever to write out
    return key if isinstance(key, str) else f'a key of type {type(key).__name__}'


def check_plain(state: Mapping[str, Tensor], *, source: object) -> None:
    """Make sure that tensors can be copied to weights: dense, real, and no larger than their data.

    Raises:
        CheckpointError: one is not.
    """
    for name, value in state.items():
        dense = value.layout == torch.strided and not (value.is_meta or value.is_nested)
        real = not (value.is_quantized or value.is_complex())
        size = 'x'.join(map(str, value.shape))
        problem = f'has a tensor under {name} of {value.dtype}, {value.layout}, on {value.device}'
        if dense and real:
            stored = value.untyped_storage().nbytes()
            if value.numel() * value.element_size() <= stored:
                continue
            problem = f'has a forged tensor under {name} ({size} numbers in {stored} bytes)'
        raise CheckpointError(source=source, problem=problem, expected='dense tensors of real numbers')
