"""Images with label maps in the layouts and codes that people have: labels are those that were drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import drawn
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image
from refusal import refuses

import hrnet_mm  # noqa: F401  registers the packages' parts
from hrnet_mm.config.load import load_config
from hrnet_mm.make_config import make_config

COLOURS = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 64)], np.uint8)
SAME: dict[int, int] = {0: 0, 1: 1, 2: 2}


def ids(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels).save(path)


def palette(path: Path, labels: np.ndarray) -> None:
    image = Image.fromarray(labels, mode='P')
    image.putpalette(COLOURS.ravel().tolist())
    image.save(path)


def colours(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(COLOURS[labels]).save(path)


def from_one(path: Path, labels: np.ndarray) -> None:
    ids(path, labels + 1)


def binary(path: Path, labels: np.ndarray) -> None:
    ids(path, np.where(labels > 0, 255, 0).astype(np.uint8))


def with_gaps(path: Path, labels: np.ndarray) -> None:
    ids(path, np.array([0, 30, 90], np.uint8)[labels])


def sixteen_bits(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(np.array([0, 1000, 2000], np.uint16)[labels]).save(path)


def three_equal_channels(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(path)


def write(
    root: Path, numbers: range, *, image: str, mask: str, save: Callable[[Path, np.ndarray], None] = ids
) -> None:
    for number in numbers:
        drawn.write_image(root / image.format(number), number)
        path = root / mask.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, drawn.labels(number))


def check(made_path: Path, labels: dict[int, int], *, classes: int) -> dict[str, set[int]]:
    """Compare every label that a data set loads with the drawn one; gives the numbers of each split."""
    cfg = load_config(made_path)
    counts = {len(cfg.metainfo.classes), len(cfg.metainfo.palette), cfg.model.decode_head.num_classes}
    assert counts == {classes}
    seen: dict[str, set[int]] = {}
    table = np.array([labels[k] for k in range(3)])
    for split in ('train', 'val', 'test'):
        with DefaultScope.overwrite_default_scope('mmseg'):
            section = {**cfg[f'{split}_dataloader'].dataset, 'pipeline': [dict(type='LoadAnnotations')]}
            data_set = DATASETS.build(section)
        for sample in data_set:
            number = int(Path(sample['img_path']).stem)
            np.testing.assert_array_equal(sample['gt_seg_map'], table[drawn.labels(number)])
            assert Path(sample['img_path']).is_file()
            seen.setdefault(split, set()).add(number)
    return seen


@pytest.mark.parametrize(
    ('save', 'labels', 'classes'),
    [
        (ids, SAME, 3),
        (palette, SAME, 3),
        (from_one, SAME, 3),
        (with_gaps, SAME, 3),
        (sixteen_bits, SAME, 3),
        (three_equal_channels, SAME, 3),
        (binary, {0: 0, 1: 1, 2: 1}, 2),
        (colours, {0: 0, 1: 2, 2: 1}, 3),  # in the colours' order where no file names them
    ],
)
def test_values(save: Callable, labels: dict[int, int], classes: int, own_folder: Path) -> None:
    write(own_folder / 'data', range(10), image='images/{}.jpg', mask='masks/{}.png', save=save)
    before = {file: file.read_bytes() for file in (own_folder / 'data').rglob('*.png')}
    made = make_config('data', arch='w18_small_v1', out='my.py')
    seen = check(made.path, labels, classes=classes)
    assert len(seen['val']) == 2 and seen['train'] | seen['val'] == {*range(10)}
    assert not seen['train'] & seen['val'] and seen['test'] == seen['val']
    assert not made.check().is_damaged
    assert before == {file: file.read_bytes() for file in (own_folder / 'data').rglob('*.png')}


@pytest.mark.parametrize(
    ('image', 'mask'),
    [
        ('images/{split}/{{}}.png', 'masks/{split}/{{}}.png'),
        ('{split}/{{}}.png', '{split}annot/{{}}.png'),  # CamVid as published with SegNet
        ('{split}/{{}}.png', '{split}_labels/{{}}_L.png'),  # CamVid as published by its authors
        ('{split}/{{}}.jpg', '{split}/{{}}_mask.png'),  # Roboflow
        ('{split}/images/{{}}.JPG', '{split}/labels/{{}}.png'),
    ],
)
def test_layouts_with_splits(image: str, mask: str, own_folder: Path) -> None:
    splits = {'train': range(5), 'val': range(5, 7), 'test': range(7, 10)}
    for split, numbers in splits.items():
        write(own_folder / 'data', numbers, image=image.format(split=split), mask=mask.format(split=split))
    made = make_config('data', arch='w18_small_v1', out='my.py')
    assert check(made.path, SAME, classes=3) == {name: {*numbers} for name, numbers in splits.items()}


def test_lists_and_names_as_of_pascal_voc_from_cvat(own_folder: Path) -> None:
    data = own_folder / 'data'
    write(data, range(6), image='JPEGImages/{}.jpg', mask='SegmentationClass/{}.png', save=colours)
    write(data, range(6), image='JPEGImages/{}.jpg', mask='SegmentationObject/{}.png')
    write(data, range(6), image='JPEGImages/{}.jpg', mask='SegmentationClassVisualization/{}.jpg', save=ids)
    (data / 'labelmap.txt').write_text(
        '# label:color_rgb:parts:actions\nbackground:0,0,0::\nbig cat:128,0,0::\n'
        'dog:0,128,64::\nowl:9,9,9::\n'
    )
    (data / 'ImageSets').mkdir()
    (data / 'ImageSets/train.txt').write_text('0\n1\n2\n3')
    (data / 'ImageSets/val.txt').write_text('4\n5')
    made = make_config('data', arch='w18_small_v1', out='my.py')
    assert check(made.path, SAME, classes=3) == {'train': {0, 1, 2, 3}, 'val': {4, 5}, 'test': {4, 5}}
    assert load_config(made.path).metainfo == dict(
        classes=('background', 'big cat', 'dog'), palette=[tuple(colour) for colour in COLOURS.tolist()]
    )
    assert any('owl' in line for line in made.lines)


def test_label_maps_from_outlines(own_folder: Path) -> None:
    content = drawn.coco(range(6))
    for annotation in content['annotations']:
        left, top, side = annotation['bbox'][:3]
        right, low = left + side, top + side
        annotation['segmentation'] = [[left, top, right, top, right, low, left, low]]
    drawn.write_json(own_folder / 'data/coco.json', content)
    for number in range(6):
        drawn.write_image(own_folder / f'data/images/{number}.png', number)
    made = make_config('data', task='seg', arch='w18_small_v1', out='my.py')
    check(made.path, SAME, classes=3)


def test_several_suffixes_in_one_data_set(own_folder: Path) -> None:
    for number, suffix in enumerate(('jpg', 'jpeg', 'JPG', 'png', 'PNG', 'jpg')):
        mask = 'masks/{}.bmp' if number % 2 else 'masks/{}.png'
        write(own_folder / 'data', range(number, number + 1), image=f'images/{{}}.{suffix}', mask=mask)
    made = make_config('data', arch='w18_small_v1', out='my.py')
    seen = check(made.path, SAME, classes=3)
    assert seen['train'] | seen['val'] == {*range(6)}
    assert not made.check().is_damaged


def test_lossy_and_shared_label_maps_are_refused(own_folder: Path) -> None:
    write(own_folder / 'lossy', range(2), image='images/{}.jpg', mask='masks/{}.png', save=_noisy)
    refuses(lambda: make_config('lossy', out='my.py'), 'label map', 'lossy')
    write(own_folder / 'shared', range(1), image='images/a/{}.jpg', mask='masks/{}.png')
    write(own_folder / 'shared', range(1), image='images/b/{}.jpg', mask='masks/{}.png')
    refuses(lambda: make_config('shared', out='my.py'), 'masks/0.png', 'images/a/0.jpg', 'images/b/0.jpg')
    for folder in 'ab':
        number = ord(folder)
        write(
            own_folder / 'flat',
            range(number, number + 1),
            image=f'images/{folder}/{{}}.jpg',
            mask='masks/{}.png',
        )
    refuses(lambda: make_config('flat', out='my.py'), 'flat', 'images/a/97.jpg and masks/97.png')
    write(own_folder / 'both', range(2), image='images/{}.jpg', mask='masks/{}.png')
    drawn.write_json(own_folder / 'both/a.json', drawn.coco([0]))
    refuses(lambda: make_config('both', out='my.py'), '--task', 'a.json', '2 label maps')


def _noisy(path: Path, labels: np.ndarray) -> None:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (*labels.shape, 3), np.uint8))
