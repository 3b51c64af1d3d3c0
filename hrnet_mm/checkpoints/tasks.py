"""One task's model out of the checkpoint of several (``hrnet_mm.MultiTaskModel``), and back into it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from .converting import pickled
from .files import CheckpointError, write_bytes
from .names import BODY
from .reading import RECORD, Checkpoint, read_checkpoint

_TASK = re.compile(r'tasks\.(\w+)\.(.+)')


def extract_task(
    source: str | os.PathLike[str], out: str | os.PathLike[str], *, task: str, ema: bool = False
) -> list[str]:
    """Write the model of one task, as its single-task config loads it.

    Args:
        source: A checkpoint of several tasks.
        out: The file to write.
        task: Whose neck and heads stand beside the backbone.
        ema: As for :func:`hrnet_mm.checkpoints.read_checkpoint`.

    Returns:
        The keys written.

    Raises:
        CheckpointError: the file cannot be read, or has no such task.
    """
    joint = read_checkpoint(source, ema=ema)
    state = {
        own: value
        for key, value in joint.state.items()
        if (own := key if key.startswith(BODY) else _own_key(key, task)) is not None
    }
    _require_task(joint, task)
    meta = {RECORD: joint.meta[RECORD]} if RECORD in joint.meta else {}
    names = joint.meta.get('dataset_meta')
    if isinstance(names, Mapping) and names.get(task):
        meta['dataset_meta'] = names[task]
    write_bytes(Path(out).expanduser(), pickled(meta, state))
    return list(state)


def fill_task(
    source: str | os.PathLike[str],
    joint: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    task: str,
    backbone: bool = False,
    ema: bool = False,
) -> list[str]:
    """Write a checkpoint of several tasks with one of them from a single-task checkpoint.

    Args:
        source: The checkpoint of the task's single model.
        joint: The checkpoint of all tasks to begin with.
        out: The file to write.
        task: Which to fill.
        backbone: Take the backbone too, which all tasks look at.
        ema: As for :func:`hrnet_mm.checkpoints.read_checkpoint`, of ``source``.

    Returns:
        The keys replaced.

    Raises:
        CheckpointError: a file cannot be read, there is no such task, or weights lack or are of another
            shape.
    """
    single, whole = read_checkpoint(source, ema=ema), read_checkpoint(joint)
    _require_task(whole, task)
    replaced: dict[str, Tensor] = {}
    for key, value in whole.state.items():
        own = key if backbone and key.startswith(BODY) else _own_key(key, task)
        if own is None:
            continue
        found = single.state.get(own)
        if found is None and own.startswith(f'{BODY}stage4.'):
            continue  # fusions towards streams that the task's own network does not produce
        if found is None or found.shape != value.shape:
            has = 'lacks it' if found is None else f'has {tuple(found.shape)}'
            raise CheckpointError(source, f'{has}: {own}', expected=f'{own} of shape {tuple(value.shape)}')
        replaced[key] = found
    write_bytes(Path(out).expanduser(), pickled(whole.meta, {**whole.state, **replaced}))
    return list(replaced)


def _own_key(key: str, task: str) -> str | None:
    match = _TASK.fullmatch(key)
    return match[2] if match and match[1] == task else None


def _require_task(joint: Checkpoint, task: str) -> None:
    tasks = dict.fromkeys(match[1] for match in map(_TASK.fullmatch, joint.state) if match)
    if task not in tasks:
        raise CheckpointError(
            joint.source,
            f'has no task {task!r}' if tasks else 'is not of a MultiTaskModel',
            expected=f'one of its tasks, {", ".join(tasks)}' if tasks else 'keys that begin with tasks.',
        )
