"""Several tasks' data sets over the same images: one sample for all, augmented alike."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from ..config.errors import ConfigError
from ..registry import DATASETS


@DATASETS.register_module()
class SharedImages(Dataset):
    """Data sets of several tasks, each with its own annotations of the same images.

    A sample is a dictionary, task -> what that task's data set gives for the image. All pipelines begin at
    the same random state, so that steps drawn alike (as ``RandomFlip`` of each package) do the same to all.
    Made for ``MultiTaskModel(shared_input=True)``, in one data loader for all tasks.

    Args:
        datasets: task -> config of its data set, and in it ``_scope_``, its package. Images are told apart by
            their paths; those that not all data sets have are left out.

    Raises:
        ConfigError: a data set has several samples of one image, as those of top-down pose, or they have no
            image in common.
    """

    def __init__(self, datasets: Mapping[str, Mapping[str, Any]]) -> None:
        self._of_tasks: dict[str, Any] = {}
        for name, settings in datasets.items():
            own = dict(settings)
            with DefaultScope.overwrite_default_scope(own.pop('_scope_')):
                self._of_tasks[name] = ROOT_DATASETS.build(own)
        rows = {name: _rows(name, dataset) for name, dataset in self._of_tasks.items()}
        first = next(iter(rows.values()))
        paths = [path for path in first if all(path in each for each in rows.values())]
        if not paths:
            some = ', '.join(f'{name}: {next(iter(each), None)}' for name, each in rows.items())
            expected = f'data sets with the same images; the first ones are {some}'
            raise ConfigError(key='dataset.datasets', value=list(rows), expected=expected)
        self._rows = [{name: each[path] for name, each in rows.items()} for path in paths]

    @property
    def datasets(self) -> list[Any]:
        """The tasks' data sets, where others look for those inside a data set."""
        return list(self._of_tasks.values())

    @property
    def metainfo(self) -> dict[str, Any]:
        """Task -> what its data set says of itself."""
        return {name: dataset.metainfo for name, dataset in self._of_tasks.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        sample = {}
        for name, row in self._rows[index].items():
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_rng_state(states[2])
            sample[name] = self._of_tasks[name][row]
        return sample


def _rows(name: str, dataset: Any) -> dict[str, int]:
    """Image -> its index in a data set."""
    rows: dict[str, int] = {}
    for index in range(len(dataset)):
        path = str(dataset.get_data_info(index)['img_path'])
        if path in rows:
            expected = f'one sample an image; {path} has several, as in top-down pose'
            raise ConfigError(key=f'dataset.datasets.{name}', value=type(dataset).__name__, expected=expected)
        rows[path] = index
    return rows
