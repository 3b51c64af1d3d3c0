"""From any layout of the table to any other, as files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .biases import settle_biases
from .body import BODY
from .errors import CheckpointError
from .layouts import Layout, layout_to_write
from .reading import Checkpoint, read_checkpoint
from .renaming import in_our_names, recognise, to_theirs
from .report import ConversionReport
from .upsampling_record import RECORD, trained_upsampling, with_upsampling


@dataclass(frozen=True)
class Converted:
    """A checkpoint in another layout."""

    layout: Layout
    state: dict[str, Tensor]
    meta: dict[str, Any]
    report: ConversionReport


def convert_checkpoint(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, to: str = 'hrnet_mm', ema: bool = False
) -> ConversionReport:
    """Rewrite a checkpoint in another publisher's layout.

    Args:
        source: A file of any layout; its content decides which.
        out: The file to write; in the safetensors format if it is called ``.safetensors``.
        to: One of :data:`hrnet_mm.checkpoints.PUBLISHERS`.
        ema: As for :func:`hrnet_mm.checkpoints.read_checkpoint`.

    Returns:
        What was done, and what had to be dropped.

    Raises:
        CheckpointError: the file cannot be read or is no HRNet, or safetensors is not installed; nothing has
            been written.
        ValueError: unknown ``to``.
    """
    if Path(out).expanduser().resolve() == Path(source).expanduser().resolve():
        raise CheckpointError(
            source=str(source),
            problem='would be written over itself, losing what the new layout cannot hold',
            expected='another file to write to',
        )
    if Path(out).suffix == '.safetensors':
        _require_safetensors(out)
    converted = convert(read_checkpoint(source, ema=ema), to=to)
    _write(Path(out).expanduser(), converted)
    return converted.report


def convert(checkpoint: Checkpoint, *, to: str) -> Converted:
    """The same, from tensors to tensors.

    Raises:
        CheckpointError: the tensors are no HRNet's.
        ValueError: unknown ``to``.
    """
    found = recognise(checkpoint.state, source=checkpoint.source)
    target = layout_to_write(to, found.layout.task)
    same_task = target.task == found.layout.task
    keeps_others = same_task and target.keeps_others and found.layout.keeps_others

    def new_name(name: str | None) -> str | None:
        if name is None or not (same_task or name.startswith(BODY)):
            return None
        return to_theirs(name, target) or (name if keeps_others else None)

    kept = {key: name for key, name in found.names.items() if name is not None and new_name(name)}
    ours = in_our_names(checkpoint.state, found)
    settled = settle_biases(
        {name: ours[name] for name in kept.values()},
        wanted=lambda bias: target.biased,
        source=checkpoint.source,
    )
    state = {f'{target.prefix}{new_name(name)}': value for name, value in settled.state.items()}
    report = ConversionReport(
        source=checkpoint.source,
        layout=found.layout.description,
        target=f'{target.publisher}, {target.task}',
        tensors=len(state),
        folded=settled.folded,
        added=settled.added,
        dropped=tuple(key for key in found.names if key not in kept),
        left=checkpoint.left,
    )
    trained = trained_upsampling(checkpoint.meta) or found.layout.upsampling
    return Converted(target, state, with_upsampling(checkpoint.meta, trained), report)


def _require_safetensors(out: str | os.PathLike[str]) -> None:
    try:
        import_module('safetensors.torch')
    except ImportError as error:
        raise CheckpointError(
            source=out,
            problem='needs the package safetensors',
            expected='it installed: pip install safetensors',
        ) from error


def _write(path: Path, converted: Converted) -> None:
    """Write all or nothing."""
    if path.is_dir():
        raise CheckpointError(source=path, problem='is a folder', expected='a file to write to')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    except OSError as error:
        raise CheckpointError(
            source=path, problem=f'cannot be written ({error.strerror})', expected='a path to write to'
        ) from error
    os.close(handle)
    try:
        _save(name, converted, safetensors=path.suffix == '.safetensors')
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _save(name: str, converted: Converted, *, safetensors: bool) -> None:
    if safetensors:
        from safetensors.torch import save_file

        state = {key: value.contiguous().clone() for key, value in converted.state.items()}
        save_file(state, name, metadata=_text(converted.meta))
    elif converted.layout.namespaced:
        torch.save({'meta': converted.meta, 'state_dict': converted.state}, name)
    else:
        torch.save(converted.state, name)


def _text(meta: Mapping[str, Any]) -> dict[str, str]:
    """What of ``meta`` a safetensors file can hold."""
    return {'format': 'pt'} | ({RECORD: json.dumps(meta[RECORD])} if RECORD in meta else {})


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
