"""Checks of one label map against its image and its data set's classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..config.errors import one_line
from .findings import Finding
from .image_header import read_header
from .images import open_header


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """What a data set expects of its label maps.

    Attributes:
        classes: How many classes it has.
        ignore_index: The id of pixels that are not learned, beside 255.
        reduce_zero_label: Whether id 0 is not learned, and 1 is the first class.
        label_map: Id in the file -> label, where the config learns other classes than the file has.
    """

    classes: int
    ignore_index: int = 255
    reduce_zero_label: bool = False
    label_map: Mapping[int, int] | None = None

    def labels(self) -> npt.NDArray[np.uint8]:
        """What the loader makes of ids 0 to 255."""
        table = np.arange(256, dtype=np.uint8)
        if self.reduce_zero_label:
            table = np.where((table == 0) | (table == 255), 255, table - 1).astype(np.uint8)
        before = table.copy()
        for old, new in (self.label_map or {}).items():
            table[before == old] = new
        return table

    def is_expected(self) -> npt.NDArray[np.bool_]:
        """Whether ids 0 to 255 in a file are labels, (256,)."""
        labels = self.labels()
        return (labels < self.classes) | (labels == self.ignore_index) | (labels == 255)


def check_label_map(path: str, *, image: str, rules: LabelRules) -> Iterator[Finding]:
    """Everything that is wrong with a label map.

    Args:
        path: The label map.
        image: Its image's file; whatever is wrong with that is said by ``check_image``.
        rules: What is expected.
    """
    item = f'of {image}'
    header = yield from open_header(path, item, 'label map')
    if header is None:
        return
    try:
        with Image.open(path) as opened:
            ids = np.array(opened)
    except Exception as error:  # PIL's plugins raise whatever broken data make them
        yield Finding(kind='unreadable label map', file=path, item=item, reason=one_line(error))
        return
    size = _size(image)
    if size is not None and size != (header.width, header.height):
        reason = f'it has {header.width}x{header.height} pixels, the image {size[0]}x{size[1]}'
        yield Finding(kind='label map of another size', file=path, item=item, reason=reason)
    yield from _check_ids(path, item, ids.squeeze(), rules)


def _check_ids(path: str, item: str, ids: npt.NDArray[np.generic], rules: LabelRules) -> Iterator[Finding]:
    if ids.ndim != 2:
        reason = f'it has {ids.shape[-1]} channels; expected one, of class ids'
        yield Finding(kind='label map with channels', file=path, item=item, reason=reason)
        return
    values = np.unique(ids.astype(np.int64))
    if values[0] < 0 or values[-1] > 255:
        reason = f'it holds ids up to {values[-1]}; expected 0 to 255'
        yield Finding(kind='16-bit label map', file=path, item=item, reason=reason)
        return
    unexpected = [int(value) for value in values if not rules.is_expected()[value]]
    if unexpected:
        shown = ', '.join(map(str, unexpected[:8])) + (', ...' if len(unexpected) > 8 else '')
        share = np.isin(ids, unexpected).mean()
        yield Finding(
            kind='unexpected class id',
            file=path,
            item=item,
            reason=f'ids {shown} ({share:.1%} of the pixels) are none of {rules.classes} classes',
        )


def _size(image: str) -> tuple[int, int] | None:
    try:
        return read_header(image).upright_size
    except (OSError, ValueError):  # said of the image itself
        return None
