"""mmseg's data set of images and label maps, for files of several suffixes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
from typing import Any

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from ..registry import DATASETS


@DATASETS.register_module()
class SegmentationFolder(BaseSegDataset):
    """``BaseSegDataset``, of whose arguments it takes all, where files of one folder end in several suffixes.

    Args:
        img_suffix: The images' suffix or suffixes, compared letter by letter.
        seg_map_suffix: The label maps'; of an image's, the first that is there counts.
        kwargs: As of ``BaseSegDataset``. ``ann_file`` lists names without suffixes.

    Raises:
        ValueError: two images differ in their suffix alone, and so have one label map.
    """

    img_suffix: str | tuple[str, ...]
    seg_map_suffix: str | tuple[str, ...]

    def __init__(
        self,
        img_suffix: str | Sequence[str] = ('.jpg', '.jpeg', '.png', '.JPG', '.JPEG', '.PNG'),
        seg_map_suffix: str | Sequence[str] = '.png',
        **kwargs: Any,
    ) -> None:
        self._suffixes = [(s,) if isinstance(s, str) else tuple(s) for s in (img_suffix, seg_map_suffix)]
        super().__init__(img_suffix=self._suffixes[0], seg_map_suffix=self._suffixes[1], **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record an image; of a name in a list without an image, the first suffix's."""
        chosen: dict[str, tuple[tuple[bool, bool], dict[str, Any]]] = {}
        for suffixes in product(*self._suffixes):
            self.img_suffix, self.seg_map_suffix = suffixes
            for record in super().load_data_list():
                path, label_map = record['img_path'], record.get('seg_map_path')
                there = self._exists(path), label_map is None or self._exists(label_map)
                name = path.removesuffix(suffixes[0])
                known, other = chosen.get(name, ((False, False), record))
                if known[0] and there[0] and other['img_path'] != path:
                    raise ValueError(f'{other["img_path"]} and {path} would have one label map')
                if name not in chosen or there > known:
                    chosen[name] = there, record
        self.img_suffix, self.seg_map_suffix = self._suffixes
        records = [record for _, record in chosen.values()]
        if self.ann_file:
            return records
        label_maps = {record.get('seg_map_path') for record in records}
        below = self._label_maps_below()
        images = {record['img_path']: record for record in records if record['img_path'] not in label_maps}
        return [images[path] for path in sorted(images) if below is None or not path.startswith(below)]

    def _label_maps_below(self) -> str | None:
        """The label maps' folder, with a slash, where it lies inside that of the images."""
        images, label_maps = (
            os.path.join(self.data_prefix.get(key) or '', '') for key in ('img_path', 'seg_map_path')
        )
        return label_maps if label_maps != images and label_maps.startswith(images) else None

    def _exists(self, path: str) -> bool:
        return bool(fileio.exists(path, backend_args=self.backend_args))
