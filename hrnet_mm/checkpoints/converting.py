"""From any layout of the table to any other, as files."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .files import CheckpointError, write_bytes
from .fitting import settle_biases
from .layouts import Layout, layout_to_write
from .names import BODY, UNKNOWN, recognise, to_theirs
from .reading import RECORD, Checkpoint, read_checkpoint, require_safetensors, with_upsampling
from .report import ConversionReport


class Converted(NamedTuple):
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
        CheckpointError: the file cannot be read or is no HRNet, ``out`` cannot be written, or safetensors is
            not installed; nothing has been written.
        ValueError: unknown ``to``.
    """
    target = Path(out).expanduser()
    if target.resolve() == Path(source).expanduser().resolve():
        raise CheckpointError(
            source=source,
            problem='would be written over itself, losing what the new layout cannot hold',
            expected='another file to write to',
        )
    if target.is_dir():
        raise CheckpointError(source=target, problem='is a folder', expected='a file to write to')
    as_safetensors = target.suffix == '.safetensors'
    if as_safetensors:
        require_safetensors(target)
    converted = convert(read_checkpoint(source, ema=ema), to=to)
    meta = converted.meta if converted.layout.namespaced else None  # only MMEngine's layouts have it
    write_bytes(target, _safetensors(converted) if as_safetensors else pickled(meta, converted.state))
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

    def new_name(name: str) -> str | None:
        if name.startswith(UNKNOWN) or not (same_task or name.startswith(BODY)):
            return None
        return to_theirs(name, target) or (name if keeps_others else None)

    kept = {name: checkpoint.state[key] for key, name in found.names.items() if new_name(name)}
    folded, added = settle_biases(kept, biased=dict.fromkeys(kept, target.biased), source=checkpoint.source)
    state = {f'{target.prefix}{new_name(name)}': value for name, value in kept.items()}
    report = ConversionReport(
        source=checkpoint.source,
        layout=found.layout.description,
        target=f'{to}, {target.task}',
        tensors=len(state),
        folded=folded,
        added=added,
        dropped=tuple(key for key, name in found.names.items() if not new_name(name)),
        left=checkpoint.left,
    )
    trained = checkpoint.trained_upsampling() or found.layout.upsampling
    return Converted(target, state, with_upsampling(checkpoint.meta, trained), report)


def _safetensors(converted: Converted) -> bytes:
    """In the safetensors format, which holds text alone beside the tensors."""
    meta = {'format': 'pt'}
    if RECORD in converted.meta:
        meta[RECORD] = json.dumps(converted.meta[RECORD])
    state = {key: value.contiguous().clone() for key, value in converted.state.items()}
    content: bytes = require_safetensors(converted.report.source).save(state, metadata=meta)
    return content


def pickled(meta: dict[str, Any] | None, state: Mapping[str, Tensor]) -> bytes:
    """As ``torch.save`` writes a state dict; with ``meta``, a checkpoint as MMEngine's."""
    buffer = io.BytesIO()
    torch.save(dict(state) if meta is None else {'meta': meta, 'state_dict': dict(state)}, buffer)
    return buffer.getvalue()
