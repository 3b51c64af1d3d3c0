"""What a config's data sets consist of: annotation files, images, label maps; what is expected of each."""

from __future__ import annotations

import copy
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from ..config.codebases import require_scope
from ..config.errors import ConfigError, refused
from ..config.files import is_remote
from ..config.paths import iter_datasets, type_name
from ..utils import listed
from .coco import CocoRules
from .findings import Finding
from .images import IMAGE_SUFFIXES
from .label_maps import LabelRules, label_rules
from .loading import ImageLoader, loads_images
from .metainfo import check_metainfo

#: Where mmdet's and mmpose's data sets read COCO's format, and how: only what reads as they do is checked so.
_COCO_MODULES: Final = ('mmdet.datasets.coco', 'mmpose.datasets.datasets.base.base_coco_style_dataset')
_COCO_READERS: Final = ('load_data_list', '_load_annotations', 'parse_data_info')
#: Data sets whose classes are the names of folders.
_NAMED_BY_FOLDERS = ('CustomDataset',)
#: Steps that read images, and their options by which they do so in a way of their own.
_USUAL_LOADERS = ('LoadImageFromFile', 'LoadImage')
_LOADER_KEYS = frozenset({'color_type', 'imdecode_backend'})
_POSE_KEYS = frozenset({'id', 'image_id', 'category_id'})


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One image to look at, with all that belongs to it."""

    path: str
    item: str  # who wants it, for messages
    size: tuple[int, int] | None = None  # width and height as annotated
    label_map: str | None = None
    label_rules: LabelRules | None = None  # what is expected of its label map
    loader: ImageLoader | None = None  # of a pipeline that reads images in a way of its own


class DataSource:
    """One innermost data set of a config, not yet read.

    Args:
        key: Its config key.
        section: Its config.

    Raises:
        ConfigError: if it can't be built.
    """

    def __init__(self, key: str, section: Mapping[str, Any]) -> None:
        self.key = key
        self._section = section
        check_metainfo(key, section.get('metainfo'))
        unread = {**copy.deepcopy(dict(section)), 'pipeline': [], 'lazy_init': True}
        with self._refused('built'):
            self._dataset = DATASETS.build(unread)

    def _refused(self, done: str) -> AbstractContextManager[None]:
        kind = type_name(self._section.get('type'))
        return refused(self.key, kind, expected=f'a data set that can be {done}')

    def metainfo(self) -> Mapping[str, Any]:
        """Names of classes or keypoints; those of folders, which stand nowhere, are read from the disk.

        Raises:
            ConfigError: if they can't be read.
        """
        if type_name(self._section.get('type')) in _NAMED_BY_FOLDERS and not self._dataset.metainfo.get(
            'classes'
        ):
            self._list()
        return getattr(self._dataset, 'metainfo', None) or {}

    def _list(self) -> None:
        """Have the data set list its samples."""
        with self._refused('read'):
            try:
                self._dataset.full_init()
            except ValueError as error:
                if 'at least one array' not in str(error):  # so MMEngine fails at an empty list
                    raise
                file, prefix = (getattr(self._dataset, name, None) for name in ('ann_file', 'data_prefix'))
                raise ConfigError(
                    self.key, file or prefix, expected='at least one image; it lists none'
                ) from error

    @property
    def trains(self) -> bool:
        """Whether samples are chosen at random, so that another can take the place of one."""
        return self.key.startswith('train_')

    @property
    def ann_file(self) -> str | None:
        """The list or annotation file that it reads on this machine, where there is one."""
        file = getattr(self._dataset, 'ann_file', None)
        return file if isinstance(file, str) and not is_remote(file) and os.path.isfile(file) else None

    def coco_rules(self, *, alone: bool = True, evaluated: bool = False) -> CocoRules | None:
        """What is expected of its COCO annotation file; None where it reads none.

        Args:
            alone: Whether it is its stage's only data set.
            evaluated: Whether COCO's metric compares predictions with its file.
        """
        file = str(getattr(self._dataset, 'ann_file', '') or '')
        if not file.endswith('.json') or is_remote(file) or not _reads_coco(self._dataset):
            return None
        metainfo = getattr(self._dataset, 'metainfo', None) or {}
        rules = CocoRules(file=file, learns=self.trains, alone=alone, evaluated=evaluated)
        if 'num_keypoints' in metainfo:
            return replace(rules, keypoints=int(metainfo['num_keypoints']), required=_POSE_KEYS)
        steps = self._section.get('pipeline') or ()
        masks = any(step.get('with_mask', False) for step in steps if isinstance(step, dict))
        least = (self._section.get('filter_cfg') or {}).get('min_size', 0) if self.trains else 0
        return replace(rules, classes=metainfo.get('classes'), masks=masks, min_size=least)

    @property
    def indices(self) -> int | Sequence[int] | None:
        """The samples that alone are taken, of which the first so many or those of these numbers."""
        return self._section.get('indices')

    @property
    def bbox_file(self) -> str | None:
        """The file of a detector's boxes that the data set takes instead of the truth's."""
        file = getattr(self._dataset, 'bbox_file', None)
        return file if isinstance(file, str) and file and not is_remote(file) else None

    @cached_property
    def loader(self) -> ImageLoader | None:
        """What its pipeline reads images with; None of steps that read any image as three channels of 8 bits.

        Raises:
            ConfigError: if that step cannot be built.
        """
        steps = [step for step in self._section.get('pipeline') or () if isinstance(step, Mapping)]
        step = next((step for step in steps if loads_images(step)), {})
        if type_name(step.get('type')) in _USUAL_LOADERS and not _LOADER_KEYS & step.keys():
            return None
        scope = DefaultScope.get_current_instance().scope_name
        return ImageLoader(steps, scope=scope, key=f'{self.key}.pipeline') if step else None

    def left_out(self) -> Iterator[Finding]:
        """Images in a folder that the data set lists by their suffix, and does not take.

        Raises:
            ConfigError: if it takes none.
        """
        prefix, suffix = getattr(self._dataset, 'data_prefix', None), getattr(self._dataset, 'img_suffix', '')
        folder = prefix.get('img_path') if isinstance(prefix, Mapping) else None
        listed = suffix and not getattr(self._dataset, 'ann_file', '')
        if not listed or not isinstance(folder, str) or not os.path.isdir(folder):
            return
        names = _file_names(folder, without=(prefix or {}).get('seg_map_path'))
        others = [name for name in names if not name.endswith(suffix)]
        found = Counter(os.path.splitext(name)[1] for name in others)
        shown = ', '.join(f'{count} x {ending or "without"}' for ending, count in found.most_common(5))
        if len(others) == len(names):
            expected = f'the suffix of the images in {folder}, where there are {shown or "no files"}'
            raise ConfigError(f'{self.key}.img_suffix', suffix, expected=expected)
        if any(ending.lower() in IMAGE_SUFFIXES for ending in found):
            several = "type='hrnet_mm.SegmentationFolder' takes several"
            yield Finding('images of other suffixes', f'{shown}; img_suffix is {suffix!r}, {several}', folder)

    def wrong_labels(self) -> Iterator[Finding]:
        """Samples of a classification whose label is none of its classes.

        Raises:
            ConfigError: if names of folders are given in another order than the folders'.
        """
        names = self.metainfo().get('classes')
        if names is None or not hasattr(self._dataset, 'get_gt_labels'):
            return
        self._list()
        folders = list(getattr(self._dataset, 'folder_to_idx', ()))
        if set(folders) & set(names) and folders != list(names):
            expected = f'the names of the folders, in their order: {listed(folders)}'
            raise ConfigError(f'{self.key}.metainfo.classes', names, expected)
        for index in range(len(self._dataset)):
            record = self._dataset.get_data_info(index)
            for label in np.ravel(record.get('gt_label', [])).tolist():
                if not 0 <= label < len(names):
                    reason = f'label {label}; expected 0 to {len(names) - 1}, for {listed(names)}'
                    yield Finding('label of no class', reason, self.ann_file or '', f'sample {index}')

    def label_rules(self) -> LabelRules | None:
        """What is expected of its label maps; None where it has none."""
        return label_rules(self._dataset)

    def coco_images(self, images: Sequence[Mapping[str, Any]]) -> Iterator[ImageTask]:
        """The images of its annotation file's records, those that are complete."""
        folder = (getattr(self._dataset, 'data_prefix', None) or {}).get('img') or ''
        for image in images:
            name = image.get('file_name')
            if isinstance(name, str) and not is_remote(os.path.join(folder, name)):
                path = os.path.join(folder, name)
                item = f'image {image.get("id")}'
                yield ImageTask(path=path, item=item, size=_size(image), loader=self.loader)

    def samples(self) -> Iterator[ImageTask]:
        """The images that the data set itself lists, with their label maps.

        Raises:
            ConfigError: if it can't be read.
        """
        self._list()
        rules = self.label_rules()
        for index in range(len(self._dataset)):
            record = self._dataset.get_data_info(index)
            path, labels = record.get('img_path'), record.get('seg_map_path')
            if isinstance(path, str) and not is_remote(path):
                yield ImageTask(
                    path=path,
                    item=f'sample {index}',
                    label_map=labels if rules is not None and isinstance(labels, str) else None,
                    label_rules=rules,
                    loader=self.loader,
                )


def open_source(key: str, section: Mapping[str, Any]) -> DataSource | None:
    """A data set of a config; None of one that is built with other arguments than the packages' own."""
    try:
        return DataSource(key, section)
    except ConfigError as error:
        if re.search(r"unexpected keyword argument '(pipeline|lazy_init)'", str(error.__cause__)):
            return None
        raise


def iter_sources(cfg: Config, *, stages: Sequence[str]) -> Iterator[DataSource]:
    """The data sets of some stages that lie on this machine; what is tested on twice comes once.

    Data sets that are built with other arguments than the packages' own are passed over.

    Args:
        cfg: A config.
        stages: Names among ``train``, ``val`` and ``test``.

    Raises:
        ConfigError: for a data set that can't be built.
    """
    seen = []
    with DefaultScope.overwrite_default_scope(require_scope(cfg)):
        for key, section in iter_datasets(cfg, stages=stages):
            bare = {name: value for name, value in section.items() if name not in ('pipeline', 'test_mode')}
            use = (key.startswith('train_'), bare)
            if (section.get('backend_args') or {}).get('backend', 'local') != 'local' or use in seen:
                continue
            seen.append(use)
            source = open_source(key, section)
            if source is not None:
                yield source


def _file_names(folder: str, *, without: str | None) -> list[str]:
    """Names of the files below a folder, those in a folder below it left out."""
    left_out = os.path.join(os.path.normpath(without), '') if without and without != folder else None
    return [
        name
        for place, _, files in os.walk(folder)
        for name in files
        if not name.startswith('.')
        and (left_out is None or not os.path.join(os.path.normpath(place), '').startswith(left_out))
    ]


def _reads_coco(dataset: Any) -> bool:
    readers = [getattr(type(dataset), name, None) for name in _COCO_READERS]
    return all(reader.__module__ in _COCO_MODULES for reader in readers if reader is not None)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = (image.get(key) for key in ('width', 'height'))
    if not isinstance(width, (int, float)) or not isinstance(height, (int, float)):
        return None
    return (int(width), int(height)) if 0 < min(width, height) <= max(width, height) < 2**31 else None
