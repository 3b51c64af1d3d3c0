"""From a file to its tensors, told by content and without executing anything the file says."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .bounds import ZIP_START, check_plain, check_zip
from .errors import CheckpointError
from .safe_globals import allow_training_checkpoints

_EXPECTED = 'a PyTorch (.pth, .pth.tar, .pt) or .safetensors file of weights'

#: how files begin that are often saved in place of weights, and what they are
_IMPOSTORS: tuple[tuple[bytes, str], ...] = (
    (b'<', 'is a web page, not weights (was the download a login or an error page?)'),
    (
        b'version https://git-lfs',
        'is a git-lfs pointer, not the weights themselves (git lfs pull fetches them)',
    ),
    (b'\x1f\x8b', 'is a gzip archive, not weights (unpack it first)'),
)

#: how torch names what it refuses to call or to build
_REFUSED = re.compile(r'(?:GLOBAL|class|function|instantiate|call)\s+([A-Za-z_]\w*(?:\.\w+)+)')

#: entries that training codes keep weights under, in the order they are looked for
_WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'module', 'net', 'weights', 'params')
_DEEPEST = 8  # wrappers in wrappers; a file may hold itself


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
    """What ``torch.save`` or safetensors wrote, under ``weights_only=True`` with our list of safe classes.

    Raises:
        CheckpointError: as :func:`read_checkpoint`.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(source=path, problem='is not there', expected=_EXPECTED)
    with path.open('rb') as file:
        start = file.read(512)
    _refuse_impostors(path, start)
    if _is_safetensors(path, start):
        return _load_safetensors(path, map_location)
    allow_training_checkpoints()
    try:
        return _load_torch(path, start, map_location)
    except Exception as error:  # damaged files make torch fail in many ways
        raise explain(error, source=path) from error


def _load_torch(path: Path, start: bytes, map_location: Any) -> Any:
    if start.startswith(ZIP_START):
        check_zip(path)
    return torch.load(path, map_location=map_location, weights_only=True)


def explain(error: Exception, *, source: object) -> CheckpointError:
    """The :class:`CheckpointError` for what ``torch.load`` or safetensors raised."""
    refused = _REFUSED.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if refused is not None:
        return CheckpointError(
            source=source,
            problem=f'holds Python objects besides tensors ({refused.group(1)}), which are never executed',
            expected='a file of weights; save the state_dict alone where you trust its origin',
        )
    # torch's own advice in these messages is to execute the file
    lines = [] if isinstance(error, pickle.UnpicklingError) else str(error).strip().splitlines()[:1]
    why = ': '.join([type(error).__name__, *(line[:120] for line in lines)])
    return CheckpointError(
        source=source, problem=f'is damaged, truncated or no checkpoint at all ({why})', expected=_EXPECTED
    )


def unwrap(content: Any, *, source: str, ema: bool = False) -> Checkpoint:
    """Find the weights in what a file holds, however deeply wrapped.

    Raises:
        CheckpointError: there are none.
    """
    outer = content
    left: list[str] = []
    meta: dict[str, Any] = {}
    wrappers = ('ema_state_dict',) if ema else _WRAPPERS
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping) or _is_state(content):
            break
        if isinstance(content.get('meta'), Mapping):
            meta = dict(content['meta'])
        inner = next((key for key in wrappers if isinstance(content.get(key), Mapping)), None)
        left += [_name(key) for key in content if key not in (inner, 'meta')]
        content = None if inner is None else content[inner]
        wrappers = _WRAPPERS
    if not isinstance(content, Mapping) or not _is_state(content) or (ema and content is outer):
        found = ', '.join(map(_name, list(outer)[:5])) if isinstance(outer, Mapping) else type(outer).__name__
        raise CheckpointError(
            source=source,
            problem=f'holds no weights (found: {found or "nothing"})',
            expected='ema_state_dict'
            if ema
            else f'tensors by name, alone or under {" or ".join(_WRAPPERS[:3])}',
        )
    state = {
        key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    left += [_name(key) for key in content if key not in state]
    return Checkpoint(source=source, state=state, meta=meta, left=tuple(left))


def _is_state(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())


def _name(key: Any) -> str:
    # what else a forged file has for a key may take for ever to write out
    return key if isinstance(key, str) else f'a key of type {type(key).__name__}'


def _refuse_impostors(path: Path, start: bytes) -> None:
    if not start:
        raise CheckpointError(source=path, problem='is empty', expected=_EXPECTED)
    if start[257:262] == b'ustar':
        raise CheckpointError(
            source=path, problem='is a tar archive, not weights (unpack it first)', expected=_EXPECTED
        )
    for beginning, what in _IMPOSTORS:
        if start.lstrip().startswith(beginning) and not _is_safetensors(path, start):
            raise CheckpointError(source=path, problem=what, expected=_EXPECTED)


def _is_safetensors(path: Path, start: bytes) -> bool:
    # eight bytes with the length of a JSON header, then the header
    return path.suffix == '.safetensors' or start[8:9] == b'{'


def _load_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise CheckpointError(
            source=path,
            problem='needs the package safetensors',
            expected='it installed: pip install safetensors',
        ) from error
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
            record = json.loads((file.metadata() or {}).get('hrnet_mm', '{}'))
    except Exception as error:  # safetensors' own error class is not importable everywhere
        raise explain(error, source=path) from error
    return {'state_dict': state, 'meta': {'hrnet_mm': record}} if record else state
