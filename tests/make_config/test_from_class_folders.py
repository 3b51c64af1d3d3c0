"""A folder of images per class, split or not: the config's data sets give each image its class."""

from __future__ import annotations

from pathlib import Path

import drawn
import pytest
from mmengine.registry import DATASETS, DefaultScope
from refusal import refuses

import hrnet_mm  # noqa: F401  registers the packages' parts
from hrnet_mm.config.load import load_config
from hrnet_mm.make_config import make_config


def write(root: Path, numbers: range, classes: str = 'cat dog') -> None:
    for number in numbers:
        for name in classes.split():
            drawn.write_image(root / name / f'{name} {number}.png', number)


def read(path: Path, split: str) -> dict[str, str]:
    """Image -> class, as a split's data set has them."""
    cfg = load_config(path)
    assert cfg.model.head.num_classes == len(cfg.metainfo.classes)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        data_set = DATASETS.build({**cfg[f'{split}_dataloader'].dataset, 'pipeline': []})
    infos = [data_set.get_data_info(k) for k in range(len(data_set))]
    assert all(Path(info['img_path']).is_file() for info in infos)
    return {Path(info['img_path']).stem: data_set.metainfo['classes'][info['gt_label']] for info in infos}


@pytest.mark.parametrize('splits', [('',), ('train',), ('train', 'val'), ('training', 'validation', 'test')])
def test_images_have_the_class_of_their_folder(splits: tuple[str, ...], own_folder: Path) -> None:
    for k, split in enumerate(splits):
        write(own_folder / 'data' / split, range(5 * k, 5 * k + 5))
    made = make_config('data', arch='w18_small_v1', out='my.py')
    parts = [read(made.path, split) for split in ('train', 'val', 'test')]
    seen = {name: label for part in parts for name, label in part.items()}
    assert seen == {f'{name} {n}': name for name in ('cat', 'dog') for n in range(5 * len(splits))}
    assert not parts[0].keys() & parts[1].keys()
    assert (parts[1] == parts[2]) == (len(splits) < 3)
    assert not made.check().is_damaged


def test_classes_are_those_of_training(own_folder: Path) -> None:
    """mmpretrain would number the folders of each split by themselves."""
    write(own_folder / 'data/train', range(4), 'cat dog owl')
    write(own_folder / 'data/val', range(4), 'ape dog')
    made = make_config('data', arch='w18_small_v1', out='my.py')
    assert set(read(made.path, 'val').values()) == {'dog'}
    assert any('ape' in line for line in made.lines)


def test_classes_beside_splits_are_refused(own_folder: Path) -> None:
    write(own_folder / 'data', range(2))
    write(own_folder / 'data/train', range(2))
    refuses(lambda: make_config('data', out='my.py'), 'train and val', 'cat, dog')
