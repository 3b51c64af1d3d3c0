"""The written data set: same bytes, and readable by everybody else's loaders and metrics."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrnet_mm.demo import TRAIN_IDS, draw_scene, generate


def hashes(root: Path, **arguments) -> dict[str, str]:
    """Draw a small data set and hash its files."""
    generate(root, **{**dict(train=2, val=2, size=(96, 160), progress=False), **arguments})
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob('*')) if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def load(root: Path, name: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(root / 'coco/annotations' / f'{name}2017.json'))


def test_the_seed_alone_decides_the_bytes_and_a_larger_split_begins_with_the_same_scenes(tmp_path):
    first = hashes(tmp_path / 'a')
    assert first == hashes(tmp_path / 'b')
    other = hashes(tmp_path / 'c', seed=1)
    assert first.keys() == other.keys()
    images = [name for name in first if name.endswith(('.png', '.jpg'))]
    assert len({first[name] for name in images} | {other[name] for name in images}) == 2 * len(images) == 24
    larger = hashes(tmp_path / 'd', train=4)
    train = {f'coco/annotations/{kind}_train2017.json' for kind in ('instances', 'person_keypoints')}
    assert {name for name in first if first[name] != larger[name]} == train | {'manifest.json'}
    few, many = (load(tmp_path / name, 'instances_train').dataset for name in ('a', 'd'))
    for key in ('images', 'annotations'):
        assert few[key] == many[key][: len(few[key])]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_both_layouts_hold_the_same_pictures_and_labels(data_root, split):
    coco = load(data_root, f'instances_{split}')
    pngs = sorted((data_root / f'cityscapes/leftImg8bit/{split}').rglob('*_leftImg8bit.png'))
    label_maps = sorted((data_root / f'cityscapes/gtFine/{split}').rglob('*_labelTrainIds.png'))
    for index, (record, *files) in enumerate(zip(coco.dataset['images'], pngs, label_maps, strict=True)):
        png, labels = (np.asarray(Image.open(path)) for path in files)
        scene = draw_scene(np.random.default_rng(np.random.SeedSequence([0, int(split == 'val'), index])))
        np.testing.assert_array_equal(png, scene.image)
        np.testing.assert_array_equal(labels, scene.semantic)
        jpeg = np.asarray(Image.open(data_root / f'coco/{split}2017' / record['file_name']), float)
        assert np.abs(jpeg - png).mean() < 6
        for name, category in (('person', 1), ('car', 3)):
            union = np.zeros(labels.shape, int)
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=record['id'], catIds=category)):
                mask = coco.annToMask(annotation)
                rows, columns = np.nonzero(mask)
                corner = (columns.min(), rows.min())
                edges = (columns.max() + 1 - corner[0], rows.max() + 1 - corner[1])
                assert (*annotation['bbox'], annotation['area']) == (*corner, *edges, mask.sum())
                union += mask
            np.testing.assert_array_equal(union, labels == TRAIN_IDS[name])


@pytest.mark.filterwarnings('ignore:The metainfo config file')
def test_keypoint_records_which_mmpose_reads(data_root):
    people = load(data_root, 'person_keypoints_val')
    (category,) = people.dataset['categories']
    assert len(category['keypoints']) == 17 and len(category['skeleton']) == 19
    assert category['keypoints'][0] == 'nose' and category['keypoints'][-1] == 'right_ankle'
    assert set(people.anns) == set(load(data_root, 'instances_val').getAnnIds(catIds=1))
    datasets = pytest.importorskip('mmpose.datasets')
    dataset = datasets.CocoDataset(
        data_root=str(data_root / 'coco'),
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
    )
    assert len(dataset) == sum(one['num_keypoints'] > 0 for one in people.anns.values())
    assert all(Path(dataset.get_data_info(index)['img_path']).is_file() for index in range(len(dataset)))
    for annotation in people.dataset['annotations']:
        visible = annotation['keypoints'][2::3]
        assert annotation['num_keypoints'] == np.count_nonzero(visible)
        assert all(isinstance(value, int) for value in visible)


@pytest.mark.parametrize('kind', ['bbox', 'segm', 'keypoints'])
def test_the_truth_as_prediction_scores_one(data_root, kind):
    truth = load(data_root, 'person_keypoints_val' if kind == 'keypoints' else 'instances_val')
    results = []
    for annotation in truth.dataset['annotations']:
        result = {'segmentation': truth.annToRLE(annotation)} if kind == 'segm' else {kind: annotation[kind]}
        ids = {key: annotation[key] for key in ('image_id', 'category_id')}
        results.append({**result, **ids, 'score': 1.0})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1, abs=1e-6)


def test_mmdet_reads_it(data_root):
    """With COCO's own categories, whose ids skip eleven."""
    datasets = pytest.importorskip('mmdet.datasets')
    dataset = datasets.CocoDataset(
        data_root=str(data_root / 'coco'),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='mmdet.LoadAnnotations', with_mask=True)],
    )
    truth = load(data_root, 'instances_train')
    categories = {category['id']: category['name'] for category in truth.dataset['categories']}
    assert tuple(categories.values()) == datasets.CocoDataset.METAINFO['classes'] and max(categories) == 90
    assert not {12, 26, 29, 30, 45, 66, 68, 69, 71, 83} & set(categories)
    assert len(dataset) == 12
    sample = dataset[0]
    assert len(sample['gt_bboxes']) == len(truth.getAnnIds(imgIds=1))
    assert set(sample['gt_bboxes_labels']) <= {0, 2}
    areas = sum(record['area'] for record in truth.imgToAnns[1])
    assert sample['gt_masks'].areas.sum() == pytest.approx(areas)


def test_mmseg_reads_it(data_root):
    datasets = pytest.importorskip('mmseg.datasets')
    dataset = datasets.CityscapesDataset(
        data_root=str(data_root / 'cityscapes'),
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations')],
    )
    assert len(dataset) == 12
    sample = dataset[0]
    assert sample['gt_seg_map'].shape == sample['img'].shape[:2] == (192, 320)
    names = {dataset.metainfo['classes'][label] for label in np.unique(sample['gt_seg_map'])}
    assert {'road', 'sidewalk', 'building', 'sky'} <= names <= set(TRAIN_IDS)
