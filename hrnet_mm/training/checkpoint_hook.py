"""MMEngine's CheckpointHook, with files that are whole or absent, and none removed before its time."""

from __future__ import annotations

import os
import re
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner

from ..checkpoints import CheckpointError, load_file
from ..checkpoints.files import advice, remove_unfinished, write_bytes
from ..config.files import is_remote
from ..registry import HOOKS, register_in_scope

#: without which MMEngine cannot resume
_ENTRIES = ('meta', 'state_dict', 'message_hub')


@register_in_scope(HOOKS)
class WholeCheckpointHook(CheckpointHook):
    """Saves checkpoints as ``CheckpointHook`` does, of whose arguments it takes all, and in addition:

    - a checkpoint is written aside, brought to the disk and then renamed; so is ``last_checkpoint``;
    - older checkpoints, and the previous best one, go after the new one is whole, not before;
    - a full disk ends the training in one line that names the previous checkpoint;
    - ``--resume`` passes over what is missing or damaged, and says so.

    Put ``default_hooks=dict(checkpoint=dict(type='hrnet_mm.WholeCheckpointHook'))`` into a config.
    Checkpoints that go to a remote ``out_dir`` are left to its backend.

    Raises:
        CheckpointError: a checkpoint cannot be written, or the one that was named to resume from is damaged.
    """

    backend_args: dict[str, Any] | None
    file_backend: Any
    keep_ckpt_ids: deque[int]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._local = not (self.out_dir and is_remote(str(self.out_dir))) and not self.file_client_args
        if self._local and self.backend_args is None:
            self.backend_args = {'backend': 'hrnet_mm.atomic'}
        self._whole: str | None = None

    def before_run(self, runner: Runner) -> None:
        """Choose what to resume from."""
        training = isinstance(runner._train_loop, BaseLoop)
        if not (self._local and training and runner._resume):
            return
        if runner._load_from is None:
            runner._load_from = self._choose(runner)
            # nothing to resume from: MMEngine would look for itself, and find what is damaged
            runner._resume = runner._load_from is not None
        elif not is_remote(runner._load_from):
            problem = what_is_wrong(runner._load_from)
            if problem is not None:
                expected = 'a whole checkpoint of a training run'
                raise CheckpointError(runner._load_from, problem, expected)

    def before_train(self, runner: Runner) -> None:
        """Clean up after a kill, and take up the records of a resumed run."""
        super().before_train(runner)
        if self._local and is_main_process():
            remove_unfinished(self.out_dir)
            remove_unfinished(runner.work_dir)
        if runner._resume:
            self.last_ckpt = self._whole = runner.message_hub.runtime_info.get('last_ckpt')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        limited = self.max_keep_ckpts > 0
        kept = [*self.keep_ckpt_ids] if limited else []
        if limited:
            kept += [] if step in kept else [step]
            # with those that go once this one is whole: a resumed run removes them if this one is killed
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        runner.message_hub.update_info('last_ckpt', path)
        with self._names_the_previous():
            runner.save_checkpoint(
                self.out_dir,
                self.filename_tmpl.format(step),
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_bytes(os.path.join(runner.work_dir, 'last_checkpoint'), path.encode())
        self.last_ckpt = self._whole = path
        if limited:
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            for old in kept[: -self.max_keep_ckpts] if is_main_process() else []:
                path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                if self.file_backend.isfile(path):
                    self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        if not self.save_best:
            return
        several = len(self.key_indicators) > 1
        paths: dict[str, Any] = self.best_ckpt_path_dict if several else self.__dict__
        before = {name: paths[name] for name in (self.key_indicators if several else ['best_ckpt_path'])}
        paths.update(dict.fromkeys(before))  # MMEngine would remove these before the new ones are whole
        with self._names_the_previous():
            super()._save_best_checkpoint(runner, metrics)
        for name, old in before.items():
            if paths[name] is None:
                paths[name] = old
            elif old not in (None, paths[name]) and is_main_process() and self.file_backend.isfile(old):
                self.file_backend.remove(old)

    def _choose(self, runner: Runner) -> str | None:
        """The checkpoint to resume from, the same in all processes."""
        chosen: list[str | None] = [None]
        if is_main_process():
            work_dir = folder = Path(runner.work_dir)
            if self.out_dir is not None and Path(self.out_dir) != work_dir:
                folder = Path(self.out_dir) / work_dir.name  # as MMEngine decides once training starts
            chosen[0], passed = newest_whole(work_dir, folder, template=self.filename_tmpl)
            if passed:
                use = chosen[0] or 'nothing, training starts from its beginning'
                runner.logger.warning(f'resuming from {use}; passed over: {"; ".join(passed)}')
        broadcast_object_list(chosen)
        return chosen[0]

    @contextmanager
    def _names_the_previous(self) -> Iterator[None]:
        try:
            yield
        except CheckpointError as error:
            expected = f'room to write to; {advice(self._whole)}'
            raise CheckpointError(error.source, error.problem, expected) from error


def newest_whole(
    work_dir: str | os.PathLike[str], folder: str | os.PathLike[str], *, template: str
) -> tuple[str | None, list[str]]:
    """The checkpoint that ``last_checkpoint`` names or, where that is not whole, the newest that is.

    Args:
        work_dir: folder of ``last_checkpoint``.
        folder: of the checkpoints.
        template: of their names, as in ``'epoch_{}.pth'``.

    Returns:
        Its path, or None where there is none, and what was passed over, each with the reason.
    """
    passed: list[str] = []
    for path in dict.fromkeys(_candidates(Path(work_dir), Path(folder), template)):
        problem = what_is_wrong(path)
        if problem is None:
            return path, passed
        passed.append(f'{path} {problem}')
    return None, passed


def what_is_wrong(path: str | os.PathLike[str]) -> str | None:
    """Why a checkpoint cannot be resumed from; None where it can.

    The file is read as a whole: torch itself does not compare the checksums that it writes.
    """
    if not os.path.isfile(path):
        return 'is not there'
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                return f'is damaged (wrong checksum of {damaged})'
        content = load_file(path)
    except CheckpointError as error:
        return error.problem
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f'is damaged ({error})'
    absent = [entry for entry in _ENTRIES if not isinstance(content, dict) or entry not in content]
    return f'holds no {", ".join(absent)}' if absent else None


def _candidates(work_dir: Path, folder: Path, template: str) -> Iterator[str]:
    """The one last written, then all of that name from the newest on."""
    record = work_dir / 'last_checkpoint'
    # after a power cut it may hold anything
    last = record.read_text(errors='replace').strip('\0 \n') if record.is_file() else ''
    if last and last.isprintable():
        yield last
    before, _, after = template.partition('{}')
    name = re.compile(rf'{re.escape(before)}(\d+){re.escape(after)}')
    found = ((name.fullmatch(path.name), path) for path in folder.glob('*'))
    numbered = [(int(match.group(1)), str(path)) for match, path in found if match]
    yield from (path for _, path in sorted(numbered, reverse=True))
