"""Data sets guarded during a run: damaged files are left out or told about, errors are one line."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..config.errors import DataError, one_line, users_line
from ..config.files import is_remote
from ..registry import HOOKS, register_in_scope
from .findings import KINDS, Finding, Severity
from .images import TooManyPixels, check_conversions, check_end, check_file, check_size, read_header
from .label_maps import LabelRules, check_labels, check_map_size, label_rules, open_ids
from .loading import converts

_WHERE = 'tools/check_data.py CONFIG lists all such files'
#: So many samples left out in a row mean that the whole data set is unusable.
IN_A_ROW = 20
#: What no file is to blame for, if a loading step of the user's own raises it.
_BUGS = (TypeError, AttributeError, NameError, LookupError, ImportError)


class UnusableSample(Exception):
    """A sample that can't be used: the kind of the fault, a key of ``KINDS``, and the reason."""

    def __str__(self) -> str:
        return ': '.join(self.args)


class FaultCounter:
    """How many faulty samples were met, counted by all workers of a data loader together."""

    def __init__(self) -> None:
        self._counts = multiprocessing.Array('q', len(KINDS))

    def count(self, kind: str) -> bool:
        """Count one; whether it was the first of its kind."""
        place = list(KINDS).index(kind)
        with self._counts.get_lock():
            self._counts[place] += 1
            return bool(self._counts[place] == 1)

    def forget(self) -> None:
        """Begin anew: the next of each kind is the first."""
        with self._counts.get_lock():
            self._counts[:] = [0] * len(KINDS)

    def __deepcopy__(self, memo: object) -> FaultCounter:
        return self  # a copy of a data set is read in the same run

    def counts(self) -> dict[str, int]:
        """The kinds that were counted."""
        return {kind: count for kind, count in zip(KINDS, self._counts[:], strict=True) if count}


class GuardedPipeline:
    """Runs the steps of a pipeline on samples that can be used.

    Before the steps the headers of image and label map are read: what is too large is not decoded, what
    ends early is found. Behind the loading steps sizes and class ids are compared.

    A sample that can't be used gives None, for which MMEngine's data sets take another at random; the
    first of each kind is told about. In a test, and where ``IN_A_ROW`` samples were left out, it is an error.

    Args:
        pipeline: The data set's own; its ``transforms`` are used.
        test_mode: Whether every sample counts.
        counter: Takes the counts.
        rules: What is expected of label maps as the loader gives them; None where there are none.
    """

    def __init__(
        self, pipeline: Any, *, test_mode: bool, counter: FaultCounter, rules: LabelRules | None = None
    ) -> None:
        self.transforms: Sequence[Callable[[Any], Any]] = pipeline.transforms
        self._test_mode = test_mode
        self._counter = counter
        self._rules = rules
        self._left_out = 0
        loaders = (step for step in self.transforms if type(step).__name__.startswith('LoadImage'))
        self._converts = all(map(converts, loaders))

    def __call__(self, data: dict[str, Any]) -> Any:
        place = _place(data)
        try:
            self._judge(_check_files(data, converts=self._converts), place)
            result = self._run(data, place)
        except UnusableSample as fault:
            self._leave_out(fault, place)
            return None
        self._left_out = 0
        return result

    def _run(self, data: Any, place: str) -> Any:
        annotated = (data.get('width'), data.get('height'))
        compared: set[str] = set()
        for step in self.transforms:
            name = type(step).__name__
            try:
                data = step(data)
            except Exception as error:  # steps raise whatever they like
                is_own = users_line(error) is not None
                noun = None if is_own and isinstance(error, _BUGS) else _loaded_by(name, data)
                if noun is not None:
                    raise _unreadable(noun, data, error) from error
                if is_own:
                    print_log(f'data: {place}: {name} failed', logger='current', level=40)
                    raise
                raise DataError(f'{place}: {name} failed: {one_line(error)}') from error
            if data is None:
                return None
            # image and label map are compared once each, before anything resizes them
            for key in ('img', 'gt_seg_map'):
                if isinstance(data, dict) and key in data and key not in compared:
                    compared.add(key)
                    self._judge(_check_loaded(key, data, annotated, self._rules), place)
        return data

    def _judge(self, faults: Iterable[Finding], place: str) -> None:
        """Tell of what is handled, or raise."""
        for kind, reason, *_ in faults:
            if KINDS[kind].severity is Severity.HANDLED:
                self._tell(
                    kind, f'{place}: {kind}: {reason}; {KINDS[kind].effect}, as others like it will be'
                )
            elif self._test_mode and KINDS[kind].testable:
                self._tell(kind, f'{place}: {kind}: {reason}; it is tested on as it is')
            else:
                raise UnusableSample(kind, reason)

    def _leave_out(self, fault: UnusableSample, place: str) -> None:
        self._left_out += 1
        if self._test_mode:
            raise DataError(f'{place}: {fault}; {_WHERE}') from None
        if self._left_out >= IN_A_ROW:
            raise DataError(
                f'{IN_A_ROW} samples in a row could not be used, the last: {place}: {fault}; {_WHERE}'
            ) from None
        self._tell(fault.args[0], f'{place}: {fault}; it is left out, as others like it will be')

    def _tell(self, kind: str, line: str) -> None:
        """The first time that a kind is met."""
        if self._counter.count(kind):
            print_log(f'data: {line}; {_WHERE}', logger='current', level=30)


@register_in_scope(HOOKS)
class DataGuardHook(Hook):
    """Guard the data sets that a run reads (see ``GuardedPipeline``), and tell at its end what was left out.

    Args:
        lines: What is known of the data before the run; the log starts with it.
    """

    def __init__(self, lines: Sequence[str] = ()) -> None:
        self._lines = tuple(lines)
        self._counter = FaultCounter()

    def before_run(self, runner: Runner) -> None:
        """Put the guards in, before workers are started."""
        for line in self._lines:
            runner.logger.warning(line)
        for name in ('_train_loop', '_val_loop', '_test_loop'):
            dataloader = getattr(getattr(runner, name, None), 'dataloader', None)
            if dataloader is not None:
                guard(dataloader.dataset, self._counter, test_mode=name != '_train_loop')

    def forget(self) -> None:
        """Begin anew, after a rehearsal in which nothing was told."""
        self._counter.forget()

    def after_run(self, runner: Runner) -> None:
        """Tell how many samples were left out."""
        counts = self._counter.counts()
        damage = [f'{count} x {kind}' for kind, count in counts.items() if KINDS[kind].severity.is_damage]
        if damage:
            runner.logger.warning(f'data: faulty samples met, each time they came up: {", ".join(damage)}')


def guard(dataset: Any, counter: FaultCounter, *, test_mode: bool) -> None:
    """Put guards into a built data set and those inside it, in place."""
    inner = getattr(dataset, 'datasets', None) or ([dataset.dataset] if hasattr(dataset, 'dataset') else [])
    for part in inner:
        guard(part, counter, test_mode=test_mode)
    pipeline = getattr(dataset, 'pipeline', None)
    if inner or isinstance(pipeline, GuardedPipeline) or not hasattr(pipeline, 'transforms'):
        return
    rules = label_rules(dataset)
    if rules is not None:  # of labels as the loader makes them
        rules = replace(rules, reduce_zero_label=False, label_map=None)
    dataset.pipeline = GuardedPipeline(pipeline, test_mode=test_mode, counter=counter, rules=rules)


def _check_files(data: Mapping[str, Any], *, converts: bool) -> Iterator[Finding]:
    """What headers and ends of a sample's files tell. What PIL cannot read is left to its loader."""
    for noun, key in (('image', 'img_path'), ('label map', 'seg_map_path')):
        path = data.get(key)
        if not isinstance(path, str) or not os.path.isfile(path):
            continue
        try:
            header = read_header(path)
        except TooManyPixels as error:
            yield Finding('too large image', str(error))
            continue
        except OSError:
            continue
        yield from check_end(path, header, noun=noun)
        if noun == 'image':
            yield from check_conversions(header) if converts else ()
        elif header.sixteen_bit:
            yield from open_ids(path)


def _loaded_by(step: str, data: Any) -> str | None:
    """What file a step loads, if it loads one."""
    if step.startswith('LoadImage'):
        return 'image'
    has_map = isinstance(data, dict) and isinstance(data.get('seg_map_path'), str)
    return 'label map' if step.startswith('Load') and 'Annotations' in step and has_map else None


def _unreadable(noun: str, data: Any, error: Exception) -> UnusableSample:
    """Why a file could not be loaded, by its header and end where these tell."""
    path = data.get('img_path' if noun == 'image' else 'seg_map_path') if isinstance(data, dict) else None
    faults = check_file(path, noun=noun) if isinstance(path, str) and not is_remote(path) else ()
    found = next(iter(faults), Finding(f'unreadable {noun}', one_line(error)))
    return UnusableSample(found.kind, found.reason)


def _check_loaded(
    key: str, data: Mapping[str, Any], annotated: tuple[Any, Any], rules: LabelRules | None
) -> Iterator[Finding]:
    """Compare an image with its annotations, or a label map with its image and the classes."""
    array = data[key]
    if not isinstance(array, np.ndarray):
        return
    size = array.shape[1::-1]
    if key == 'img' and None not in annotated:
        yield from check_size(size, annotated=tuple(annotated), stored=size[::-1])
    if key == 'gt_seg_map' and rules is not None:
        if array.ndim != 2:
            yield Finding('label map with channels', f'it has shape {array.shape}; expected (H, W)')
        elif data.get('ori_shape') is not None:
            yield from check_map_size(size, image=tuple(data['ori_shape'][1::-1]))
        yield from check_labels(array, ids=array, rules=rules)


def _place(data: Mapping[str, Any]) -> str:
    """A sample in words."""
    parts = [str(data[key]) for key in ('img_path', 'seg_map_path') if isinstance(data.get(key), str)]
    parts += [f'image {data["img_id"]}'] if 'img_id' in data else []
    parts += [f'annotation {data["id"]}'] if isinstance(data.get('id'), int) else []
    return f'sample {data.get("sample_idx", "?")} ({", ".join(parts)})'
