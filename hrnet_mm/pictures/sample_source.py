"""The samples of a config as its network gets them, one at a time, the unreadable ones told apart."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..config.codebases import require_scope
from ..config.errors import ConfigError, one_line
from ..config.paths import check_data, type_name
from .pairs import Image

#: The splits that can be looked at: those that a training run reads.
SPLITS = ('train', 'val')

#: What a model takes for its data preprocessor where a config names no type; elsewhere it does nothing.
_PREPROCESSORS: Mapping[str, str] = MappingProxyType({'mmpretrain': 'ClsDataPreprocessor'})

#: Where a data set keeps the files of a sample.
_FILE_KEYS = ('img_path', 'seg_map_path')


class Dropped(Exception):
    """The pipeline gave nothing for a sample."""

    def __init__(self) -> None:
        super().__init__('the pipeline gave nothing; training takes another sample instead, at random')


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample behind the data preprocessor.

    Attributes:
        image: What goes into the network, no longer normalised: (H, W, 3), uint8. Its first channel
            is drawn red, so a network that is fed BGR shows blue faces.
        annotation: The data sample, in the image's coordinates where the pipeline moved it there.
    """

    image: Image
    annotation: BaseDataElement


class SampleSource:
    """The data set, pipeline and data preprocessor of one split.

    Three things differ from training. Each sample is a batch of its own, so that nothing is padded to
    its neighbours or mixed with them. Keypoints are packed as the pipeline moved them, too. In the
    validation split annotations are loaded before the image is resized, so that they lie on it.

    Args:
        cfg: A config, from ``load_config``. It is not changed.
        split: ``'train'`` or ``'val'``.

    Raises:
        ConfigError: if the split, its data or a part of the pipeline is missing or can't be built.
    """

    def __init__(self, cfg: Config, *, split: str) -> None:
        if split not in SPLITS:
            raise ConfigError(key='--split', value=split, expected=f'one of {", ".join(SPLITS)}')
        self._scope = require_scope(cfg)
        self._training = split == 'train'
        key = f'{split}_dataloader'
        if cfg.get(key) is None:
            raise ConfigError(key=key, value=None, expected=f'a section {key!r} to take samples from')
        # of this section alone: the data of others need not be there
        check_data(Config({key: cfg[key]}), command='train')
        with DefaultScope.overwrite_default_scope(self._scope):
            self._dataset = _build_dataset(cfg[key]['dataset'], key=key, training=self._training)
            self._preprocessor = _build_preprocessor(cfg, self._scope)

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """Names and colours of classes and keypoints, as the data set has them."""
        return dict(getattr(self._dataset, 'metainfo', None) or {})

    @property
    def ignore_index(self) -> int:
        """The value of pixels without a class in label maps."""
        dataset, _ = _innermost(self._dataset, 0)
        return int(getattr(dataset, 'ignore_index', 255))

    def files(self, index: int) -> list[str]:
        """The files that a sample is read from, as far as the data set names them."""
        dataset, inner = _innermost(self._dataset, index)
        try:
            record = dataset.get_data_info(inner)
        except Exception:  # asked for a message alone, about what may be broken
            return []
        found = (record.get(key) for key in _FILE_KEYS)
        return [str(file) for file in found if isinstance(file, str) and file]

    def load(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            Dropped: if the pipeline gave nothing.
            Exception: whatever data set, pipeline and preprocessor raise.
        """
        with DefaultScope.overwrite_default_scope(self._scope):
            dataset, inner = _innermost(self._dataset, index)
            # a data set itself would silently give another sample where the pipeline gives none
            prepare: Callable[[int], Any] = getattr(dataset, 'prepare_data', dataset.__getitem__)
            packed = prepare(inner)
            if packed is None:
                raise Dropped
            batch = self._preprocessor(pseudo_collate([packed]), self._training)
        return Sample(
            image=_as_image(batch['inputs'][0], self._preprocessor), annotation=batch['data_samples'][0]
        )


def spread(available: int, wanted: int) -> list[int]:
    """Indices spread evenly over what there is."""
    count = min(available, wanted)
    return [i * available // count for i in range(count)]


def _build_dataset(section: Any, *, key: str, training: bool) -> Any:
    section = copy.deepcopy(section)
    _edit_pipelines(section, training=training)
    try:
        dataset = DATASETS.build(section)
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
    except Exception as error:  # a data set reads annotations here, which can fail in any way
        raise ConfigError(
            key=f'{key}.dataset',
            value=type_name(section.get('type')),
            expected=f'a data set that can be read ({one_line(error)})',
        ) from error
    if not len(dataset):
        raise ConfigError(
            key=f'{key}.dataset', value=type_name(section.get('type')), expected='at least one sample in it'
        )
    return dataset


def _build_preprocessor(cfg: Config, scope: str) -> nn.Module:
    model = cfg.get('model') or {}
    given = copy.deepcopy(model.get('data_preprocessor') or cfg.get('data_preprocessor') or {})
    given.setdefault('type', _PREPROCESSORS.get(scope, 'BaseDataPreprocessor'))
    try:
        built: nn.Module = MODELS.build(given)
    except Exception as error:  # anything a constructor may raise
        raise ConfigError(
            key='model.data_preprocessor',
            value=type_name(given['type']),
            expected=f'a data preprocessor that can be built ({one_line(error)})',
        ) from error
    return built


def _edit_pipelines(node: Any, *, training: bool) -> None:
    """Change every pipeline of a data set, however deeply wrapped, in place."""
    if isinstance(node, (list, tuple)):
        for item in node:
            _edit_pipelines(item, training=training)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == 'pipeline' and isinstance(value, (list, tuple)):
                node[key] = _edited(value, training=training)
            else:
                _edit_pipelines(value, training=training)


def _edited(pipeline: Sequence[Any], *, training: bool) -> list[Any]:
    steps = list(pipeline)
    for step in steps:
        if _name(step) == 'PackPoseInputs':
            step['pack_transformed'] = True
    return steps if training else _annotations_first(steps)


def _annotations_first(steps: list[Any]) -> list[Any]:
    """Annotations right behind the image, so that whatever moves the image moves them too."""
    late = [step for step in steps if _name(step).startswith('Load') and 'Annotations' in _name(step)]
    others = [step for step in steps if not any(step is one for one in late)]
    image = next((i for i, step in enumerate(others) if _name(step).startswith('Load')), -1)
    return [*others[: image + 1], *late, *others[image + 1 :]]


def _name(step: Any) -> str:
    return type_name(step.get('type')) if isinstance(step, dict) else type(step).__name__


def _innermost(dataset: Any, index: int) -> tuple[Any, int]:
    """The data set, below wrappers that only choose, that a sample comes from, and its index there."""
    while hasattr(dataset, '_get_ori_dataset_idx'):
        place = dataset._get_ori_dataset_idx(index)
        if isinstance(place, tuple):
            dataset, index = dataset.datasets[place[0]], place[1]
        else:
            dataset, index = dataset.dataset, place
    return dataset, int(index)


def _as_image(inputs: Tensor, preprocessor: nn.Module) -> Image:
    """Undo the normalisation.

    Args:
        inputs: (C, H, W), of one or three channels.
        preprocessor: Holds ``mean`` and ``std`` if it normalises.

    Raises:
        ValueError: if that is no image.
    """
    if inputs.ndim != 3 or inputs.shape[0] not in (1, 3):
        raise ValueError(f'the input has shape {tuple(inputs.shape)}; expected (1 or 3, H, W) to draw it')
    pixels = inputs.detach().float()
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if mean is not None and std is not None:
        pixels = pixels * std + mean
    values = pixels.round().clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
