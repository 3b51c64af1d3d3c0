"""COCO files as exporters leave them: the config's data sets hold the boxes that were drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawn
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from refusal import refuses

import hrnet_mm  # noqa: F401  registers the packages' parts
from hrnet_mm.config.load import load_config
from hrnet_mm.make_config import make_config

TEN = range(10)


def plain(root: Path) -> None:
    for split, numbers in (('train', range(7)), ('val', range(7, 10))):
        drawn.write_json(root / f'annotations/instances_{split}2017.json', drawn.coco(numbers))
        for number in numbers:
            drawn.write_image(root / f'{split}2017/{number}.png', number)


def cvat(root: Path) -> None:
    """One file, not split; classes without objects."""
    content = drawn.coco(TEN)
    content['categories'].insert(0, dict(id=9, name='owl'))
    drawn.write_json(root / 'annotations/instances_default.json', content)
    for number in TEN:
        drawn.write_image(root / f'images/default/{number}.png', number)


def roboflow(root: Path) -> None:
    """A file beside the images of each split; category 0 stands for all; annotations from 0."""
    for split, numbers in (('train', range(6)), ('valid', range(6, 8)), ('test', range(8, 10))):
        content = drawn.coco(numbers)
        content['categories'].insert(0, dict(id=0, name='animals', supercategory='none'))
        for k, annotation in enumerate(content['annotations']):
            annotation['id'] = k
        drawn.write_json(root / split / '_annotations.coco.json', content)
        for number in numbers:
            drawn.write_image(root / split / f'{number}.png', number)


def label_studio(root: Path) -> None:
    """Windows paths, categories and annotations from 0, no ``iscrowd``; with a byte order mark."""
    content = drawn.coco(TEN, names='images\\{}.png')
    for record in (*content['categories'], *content['annotations']):
        record['id'] -= 1
    for annotation in content['annotations']:
        annotation['category_id'] -= 1
        del annotation['iscrowd']
    for number in TEN:
        drawn.write_image(root / f'images/{number}.png', number)
    (root / 'result.json').write_text(json.dumps(content), encoding='utf-8-sig')


def another_machine(root: Path) -> None:
    """Paths of the machine that it was made on, ids that are strings, no areas, an image that is lost."""
    content = drawn.coco(range(11), names='/home/me/set/pictures/{}.png')
    for image in content['images']:
        image['id'] = f'img_{image["id"]}'
    for annotation in content['annotations']:
        annotation['image_id'] = f'img_{annotation["image_id"]}'
        del annotation['area']
    drawn.write_json(root / 'coco.json', content)
    for number in TEN:
        drawn.write_image(root / f'pictures/{number}.png', number)


def addresses(root: Path) -> None:
    """Encoded addresses of local files in another case, a category twice, ids as floats, odd boxes."""
    content = drawn.coco(TEN, names='/data/local-files/?d=set%5Cdas%20Bild%5C0a1b2c3d-{}.PNG')
    content['categories'].append(dict(id=3, name='cat'))
    for annotation in content['annotations']:
        left, top, side, _ = annotation['bbox']
        corners = [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
        annotation['segmentation'] = [[value for corner in corners for value in corner]]
        annotation['bbox'] = dict(x=left, y=top) if left % 2 else [str(left), str(top), side, side]
        annotation['category_id'] = {1: 3.0 if annotation['image_id'] % 4 else 1, 2: 2.0}[
            annotation['category_id']
        ]
        annotation['image_id'] = float(annotation['image_id'])
    drawn.write_json(root / 'result.json', content)
    for number in TEN:
        drawn.write_image(root / f'das Bild/{number}.png', number)


def other_order(root: Path) -> None:
    """The validation's categories in another order and under other ids."""
    plain(root)
    content = drawn.coco(range(7, 10))
    content['categories'] = [dict(id=5, name='dog'), dict(id=6, name='cat')]
    for annotation in content['annotations']:
        annotation['category_id'] = {1: 6, 2: 5}[annotation['category_id']]
    drawn.write_json(root / 'annotations/instances_val2017.json', content)


def built(cfg: Config, split: str) -> Any:
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return DATASETS.build({**cfg[f'{split}_dataloader'].dataset, 'pipeline': []})


@pytest.mark.parametrize(
    'write', [plain, cvat, roboflow, label_studio, another_machine, addresses, other_order]
)
def test_boxes_are_those_that_were_drawn(write: Callable[[Path], None], own_folder: Path) -> None:
    write(own_folder / 'data')
    before = {file: file.read_bytes() for file in (own_folder / 'data').rglob('*.json')}
    make_config('data', arch='w18_small_v1', out='data/my.py')
    # again, in a folder that holds now what was written
    made = make_config('data', arch='w18_small_v1', out='data/my.py', overwrite=True)
    cfg = load_config(made.path)
    seen = set()
    for split in ('train', 'val', *(['test'] if write is roboflow else [])):
        data_set = built(cfg, split)
        assert data_set.metainfo['classes'] == ('cat', 'dog')
        for k in range(len(data_set)):
            info = data_set.get_data_info(k)
            number = int(Path(info['img_path']).stem)
            left, top, side = drawn.square(number)
            assert [i['bbox'] for i in info['instances']] == [[left, top, left + side, top + side]]
            assert [i['bbox_label'] for i in info['instances']] == [number % 2]
            assert Path(info['img_path']).is_file() and number not in seen
            seen.add(number)
    assert seen == {*TEN}
    assert not made.check().is_damaged
    assert before == {file: file.read_bytes() for file in before}


def test_keypoints(own_folder: Path) -> None:
    """Names tell what is mirrored, sigmas are COCO's where names are; what mmpose's metric reads is there."""
    names = ['nose', 'left_paw', 'right_paw']
    content = drawn.coco(TEN, keypoints=names)
    for annotation in content['annotations']:
        del annotation['iscrowd'], annotation['area'], annotation['bbox']
    drawn.write_json(own_folder / 'data/cats.json', content)
    for number in TEN:
        drawn.write_image(own_folder / f'data/images/{number}.png', number)
    made = make_config('data', out='my.py', arch='w32', weights='none')
    cfg = load_config(made.path)
    data_set = built(cfg, 'train')
    assert [data_set.metainfo['keypoint_id2name'][k] for k in range(3)] == names
    assert data_set.metainfo['flip_indices'] == [0, 2, 1]
    assert data_set.metainfo['skeleton_links'] == [(0, 1), (0, 2)]
    np.testing.assert_allclose(data_set.metainfo['sigmas'], [0.026, 0.05, 0.05])
    assert cfg.model.head.out_channels == 3
    info = data_set.get_data_info(0)
    left, top, side = drawn.square(int(Path(info['img_path']).stem))
    np.testing.assert_allclose(info['keypoints'][0], [[left, top], [left + side, top], [left, top + side]])
    # the corners and a quarter around them
    np.testing.assert_allclose(info['bbox'][0], [left - 2.5, top - 2.5, left + side + 2.5, top + side + 2.5])
    assert not made.check().is_damaged


@pytest.mark.parametrize(
    ('skeleton', 'links'), [([[0, 1], [0, 2]], [(0, 1), (0, 2)]), ([[1, 2], [1, 4]], [(0, 1)])]
)
def test_limbs_count_from_1_or_0_and_end_at_keypoints(
    skeleton: list[list[int]], links: list[tuple[int, int]], own_folder: Path
) -> None:
    content = drawn.coco(TEN, keypoints=['nose', 'left_paw', 'right_paw'])
    content['categories'][0]['skeleton'] = skeleton
    for number in TEN:
        drawn.write_image(own_folder / f'data/images/{number}.png', number)
    drawn.write_json(own_folder / 'data/cats.json', content)
    cfg = load_config(make_config('data', out='my.py', arch='w18_small_v1').path)
    assert built(cfg, 'train').metainfo['skeleton_links'] == links
    for points in ([1, 2, None] * 3, [[1, 2, 2]] * 3, [1, 2] * 3 + [1]):
        content['annotations'][0]['keypoints'] = points
        drawn.write_json(own_folder / 'data/cats.json', content)
        refuses(lambda: make_config('data', out='b.py'), "'annotation 1'", 'x, y, visibility')


def test_one_file_brings_the_other_splits(own_folder: Path) -> None:
    plain(own_folder / 'data')
    made = make_config('data/annotations/instances_train2017.json', arch='w18_small_v1', out='my.py')
    cfg = load_config(made.path)
    assert [len(built(cfg, split)) for split in ('train', 'val')] == [7, 3]


def test_labelmes_own_files_are_named_with_what_converts_them(own_folder: Path) -> None:
    drawn.write_image(own_folder / 'raw/0.png', 0)
    drawn.write_json(own_folder / 'raw/0.json', dict(version='5', shapes=[], imagePath='0.png'))
    folder = own_folder / 'raw'
    refuses(lambda: make_config('raw', out='my.py'), f'labelme2coco {folder} {folder}')


def test_ambiguous_and_empty_folders_are_refused(own_folder: Path) -> None:
    data = own_folder / 'data'
    drawn.write_image(data / '1.png', 1)
    refuses(lambda: make_config('data', out='my.py'), 'DATA', 'a COCO file', '1 x .png')
    refuses(lambda: make_config('date', out='my.py'), 'DATA', 'date', 'a folder of data')
    for name in ('cats', 'dogs'):
        drawn.write_json(data / f'{name}.json', drawn.coco([1]))
    refuses(lambda: make_config('data', out='my.py'), 'cats.json, dogs.json', 'DATA/cats.json')
    refuses(lambda: make_config('data/cats.json', task='pose', out='my.py'), '--task', 'det')
    refuses(lambda: make_config('data/cats.json', arch='w19', out='my.py'), '--arch', 'w18')
    made = make_config('data/cats.json', out='my.py')
    assert made.path.is_file()
    drawn.write_json(data / 'empty/a.json', {**drawn.coco([1]), 'annotations': []})
    refuses(lambda: make_config('data/empty', out='b.py'), 'a.json has no annotation')
    (data / 'empty/a.json').write_text('{"images": [')
    refuses(lambda: make_config('data/empty', out='b.py'), 'a.json is no JSON that can be read')
    refuses(lambda: make_config('data/cats.json', out='my.py'), '--out', '--force')
    (data / '1.png').rename(data / '2.png')
    refuses(lambda: make_config('data/cats.json', out='other.py'), 'cats.json', "'1.png'", 'none of 1')
