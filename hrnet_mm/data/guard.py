"""A data set's pipeline with a guard: damaged files are left out or told about, errors are one line."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from ..config.errors import DataError, one_line
from .findings import KINDS
from .image_header import Header, TooManyPixels, ends_early, read_header
from .images import handled_kinds

_WHERE = 'tools/check_data.py CONFIG lists all such files'
#: So many samples left out in a row mean that the whole data set is unusable.
IN_A_ROW = 20
#: What is no reason to stop a test: metrics cope with it, as without the guard.
_TESTED_ON = frozenset({'image of another size', 'unexpected class id'})


class Fault(Exception):
    """A sample that can't be used.

    Args:
        kind: A key of ``KINDS``.
        reason: What is wrong, in words.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f'{kind}: {reason}')
        self.kind = kind


class Ledger:
    """How many faulty samples were met, counted by all workers of a data loader together."""

    def __init__(self) -> None:
        self._names = tuple(KINDS)
        self._counts = torch.zeros(len(self._names), dtype=torch.int64).share_memory_()
        self._lock = multiprocessing.Lock()

    def count(self, kind: str) -> bool:
        """Count one; whether it was the first of its kind."""
        place = self._names.index(kind)
        with self._lock:
            self._counts[place] += 1
            return int(self._counts[place]) == 1

    def __deepcopy__(self, memo: object) -> Ledger:
        return self  # a copy of a data set is read in the same run

    def counts(self) -> dict[str, int]:
        """The kinds that were counted."""
        return {name: count for name, count in zip(self._names, self._counts.tolist(), strict=True) if count}


class GuardedPipeline:
    """Runs the steps of a pipeline on samples that can be used.

    Before the steps the headers of image and label map are read: what is too large is not decoded, what
    ends early is found. Behind the loading steps sizes and class ids are compared.

    A sample that can't be used gives None, for which MMEngine's data sets take another at random; the
    first of each kind is told about. In a test, and where ``IN_A_ROW`` samples were left out, it is an error.

    Args:
        pipeline: The data set's own; its ``transforms`` are used.
        test_mode: Whether every sample counts.
        ledger: Takes the counts.
        classes: Number of classes of label maps; None where there are none.
        ignore_index: The label, beside 255, that is not learned.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        test_mode: bool,
        ledger: Ledger,
        classes: int | None = None,
        ignore_index: int = 255,
    ) -> None:
        self.transforms: Sequence[Callable[[Any], Any]] = pipeline.transforms
        self._test_mode = test_mode
        self._ledger = ledger
        self._classes = classes
        self._ignore_index = ignore_index
        self._left_out = 0

    def __call__(self, data: dict[str, Any]) -> Any:
        place = _place(data)
        try:
            self._look_before(data)
            result = self._run(data, place)
        except Fault as fault:
            return self._leave_out(fault, place)
        self._left_out = 0
        return result

    def _look_before(self, data: Mapping[str, Any]) -> None:
        for noun, key in (('image', 'img_path'), ('label map', 'seg_map_path')):
            path = data.get(key)
            if isinstance(path, str) and os.path.isfile(path):
                self._look_at_file(path, noun, _place(data))

    def _look_at_file(self, path: str, noun: str, place: str) -> None:
        """What is no image is left to its loader."""
        try:
            header = read_header(path)
        except TooManyPixels as error:
            raise Fault('too large image', str(error)) from error
        except OSError:
            return
        self._tell_or_raise(_fault_of_file(path, header, noun), place)
        for kind, reason in handled_kinds(header) if noun == 'image' else ():
            if self._ledger.count(kind):
                _tell(f'{place}: {kind}: {reason}; {KINDS[kind].effect}, as others like it will be; {_WHERE}')

    def _run(self, data: Any, place: str) -> Any:
        annotated = (data.get('width'), data.get('height'))
        compared: set[str] = set()
        for step in self.transforms:
            name = type(step).__name__
            try:
                data = step(data)
            except Exception as error:  # steps raise whatever they like
                if (noun := _loaded_by(name, data)) is not None:
                    raise Fault(f'unreadable {noun}', one_line(error)) from error
                raise DataError(f'{place}: {name} failed: {one_line(error)}') from error
            if data is None:
                return None
            if isinstance(data, dict):
                self._look_behind(data, annotated, compared, place)
        return data

    def _look_behind(
        self, data: Mapping[str, Any], annotated: tuple[Any, Any], compared: set[str], place: str
    ) -> None:
        """Compare image and label map once each, before anything resizes them."""
        if 'img' in data and 'image' not in compared:
            compared.add('image')
            self._tell_or_raise(_fault_of_size(data['img'], annotated), place)
        if self._classes is not None and 'gt_seg_map' in data and 'labels' not in compared:
            compared.add('labels')
            shape = data.get('ori_shape')
            fault = _fault_of_labels(data['gt_seg_map'], shape, self._classes, self._ignore_index)
            self._tell_or_raise(fault, place)

    def _tell_or_raise(self, fault: Fault | None, place: str) -> None:
        if fault is None:
            return
        if not (self._test_mode and fault.kind in _TESTED_ON):
            raise fault
        if self._ledger.count(fault.kind):
            _tell(f'{place}: {fault}; it is tested on as it is; {_WHERE}')

    def _leave_out(self, fault: Fault, place: str) -> None:
        """None, for another sample to be taken."""
        self._left_out += 1
        if self._test_mode:
            raise DataError(f'{place}: {fault}; {_WHERE}') from None
        if self._left_out >= IN_A_ROW:
            raise DataError(
                f'{IN_A_ROW} samples in a row could not be used, the last: {place}: {fault}; {_WHERE}'
            ) from None
        if self._ledger.count(fault.kind):
            _tell(f'{place}: {fault}; it is left out, as others like it will be; {_WHERE}')


def guard(dataset: Any, ledger: Ledger, *, test_mode: bool) -> None:
    """Put guards into a built data set and those inside it, in place."""
    inner = getattr(dataset, 'datasets', None) or ([dataset.dataset] if hasattr(dataset, 'dataset') else [])
    for part in inner:
        guard(part, ledger, test_mode=test_mode)
    pipeline = getattr(dataset, 'pipeline', None)
    if inner or isinstance(pipeline, GuardedPipeline) or not hasattr(pipeline, 'transforms'):
        return
    metainfo = getattr(dataset, 'metainfo', None) or {}
    has_labels = hasattr(dataset, 'reduce_zero_label') and metainfo.get('classes') is not None
    dataset.pipeline = GuardedPipeline(
        pipeline,
        test_mode=test_mode,
        ledger=ledger,
        classes=len(metainfo['classes']) if has_labels else None,
        ignore_index=int(getattr(dataset, 'ignore_index', 255)),
    )


def _loaded_by(step: str, data: Any) -> str | None:
    """What file a step loads, if it loads one."""
    if step.startswith('LoadImage'):
        return 'image'
    has_map = isinstance(data, dict) and isinstance(data.get('seg_map_path'), str)
    return 'label map' if step.startswith('Load') and 'Annotations' in step and has_map else None


def _fault_of_file(path: str, header: Header, noun: str) -> Fault | None:
    """What its header and its end say of a file."""
    why = ends_early(path, header)
    if why is not None:
        return Fault('truncated image' if noun == 'image' else 'unreadable label map', why)
    if noun == 'label map' and header.sixteen_bit:
        return Fault('16-bit label map', KINDS['16-bit label map'].effect)
    return None


def _fault_of_size(image: Any, annotated: tuple[Any, Any]) -> Fault | None:
    if not isinstance(image, np.ndarray) or None in annotated:
        return None
    height, width = image.shape[:2]
    if tuple(annotated) == (width, height):
        return None
    reason = f'the annotations say {annotated[0]}x{annotated[1]}, the image has {width}x{height}'
    if tuple(annotated) == (height, width):
        reason += ': were they made before EXIF turned it?'
    return Fault('image of another size', reason)


def _fault_of_labels(labels: Any, shape: Any, classes: int, ignore_index: int) -> Fault | None:
    if labels.ndim != 2:
        return Fault('label map with channels', f'it has shape {labels.shape}; expected (H, W)')
    if shape is not None and tuple(labels.shape) != tuple(shape[:2]):
        sizes = [f'{width}x{height}' for height, width in (labels.shape, shape[:2])]
        return Fault('label map of another size', f'it has {sizes[0]} pixels, the image {sizes[1]}')
    wrong = (labels >= classes) & (labels != ignore_index) & (labels != 255)
    if wrong.any():
        return Fault(
            'unexpected class id', f'labels {np.unique(labels[wrong])[:8].tolist()} of {classes} classes'
        )
    return None


def _place(data: Mapping[str, Any]) -> str:
    """A sample in words."""
    parts = [str(data[key]) for key in ('img_path', 'seg_map_path') if isinstance(data.get(key), str)]
    parts += [f'image {data["img_id"]}'] if 'img_id' in data else []
    parts += [f'annotation {data["id"]}'] if isinstance(data.get('id'), int) else []
    return f'sample {data.get("sample_idx", "?")} ({", ".join(parts)})'


def _tell(line: str) -> None:
    print_log(f'data: {line}', logger='current', level=30)
