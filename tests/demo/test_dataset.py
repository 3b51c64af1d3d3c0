"""The written data set: same bytes, safe folders, and readable by everybody else's loaders."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrnet_mm.demo.dataset import generate
from hrnet_mm.demo.labels import TRAIN_IDS
from hrnet_mm.demo.scene import draw_scene

SPLITS = ('train', 'val')


def hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def draw(root: Path, **arguments) -> Path:
    small = dict(train=2, val=2, size=(96, 160), progress=False)
    assert generate(root, **{**small, **arguments}).drawn
    return root


def load(root: Path, name: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(root / 'coco/annotations' / f'{name}2017.json'))


def test_same_seed_same_bytes(tmp_path):
    assert hashes(draw(tmp_path / 'a')) == hashes(draw(tmp_path / 'b'))


def test_another_seed_draws_other_scenes(tmp_path):
    first, second = hashes(draw(tmp_path / 'a')), hashes(draw(tmp_path / 'b', seed=1))
    assert first.keys() == second.keys()
    images = [name for name in first if name.endswith(('.png', '.jpg'))]
    assert len(images) == 12 and all(first[name] != second[name] for name in images)


def test_a_larger_split_begins_with_the_same_scenes(tmp_path):
    small, large = draw(tmp_path / 'a'), draw(tmp_path / 'b', train=4)
    few, many = hashes(small), hashes(large)
    changed = {name for name in few if few[name] != many[name]}
    train = {f'coco/annotations/{kind}_train2017.json' for kind in ('instances', 'person_keypoints')}
    assert changed == train | {'manifest.json'}
    for name in train:
        short, long = (json.loads((root / name).read_text()) for root in (small, large))
        for key in ('images', 'annotations'):
            assert short[key] == long[key][: len(short[key])]


def test_training_and_validation_differ(data_root):
    images = [(data_root / f'coco/{split}2017').glob('*.jpg') for split in SPLITS]
    drawn = [{path.read_bytes() for path in folder} for folder in images]
    assert len(drawn[0]) == 12 and len(drawn[1]) == 6 and not drawn[0] & drawn[1]


@pytest.mark.parametrize('split', SPLITS)
def test_masks_of_coco_are_the_classes_of_cityscapes(data_root, split):
    coco = load(data_root, f'instances_{split}')
    label_maps = sorted((data_root / 'cityscapes/gtFine' / split).rglob('*_labelTrainIds.png'))
    assert len(coco.dataset['images']) == len(label_maps)
    for record, path in zip(coco.dataset['images'], label_maps, strict=True):
        labels = np.asarray(Image.open(path))
        assert labels.dtype == np.uint8 and set(np.unique(labels)) <= set(TRAIN_IDS.values())
        for category in (1, 3):
            ids = coco.getAnnIds(imgIds=record['id'], catIds=category)
            union = np.zeros(labels.shape, int)
            for annotation in coco.loadAnns(ids):
                mask = coco.annToMask(annotation)
                rows, columns = np.nonzero(mask)
                x, y, width, height = annotation['bbox']
                assert annotation['area'] == mask.sum()
                assert (x, x + width - 1) == (columns.min(), columns.max())
                assert (y, y + height - 1) == (rows.min(), rows.max())
                union += mask
            name = {1: 'person', 3: 'car'}[category]
            np.testing.assert_array_equal(union, labels == TRAIN_IDS[name])


@pytest.mark.parametrize('split', SPLITS)
def test_both_layouts_hold_the_same_pictures(data_root, split):
    jpegs = sorted((data_root / f'coco/{split}2017').glob('*.jpg'))
    pngs = sorted((data_root / f'cityscapes/leftImg8bit/{split}').rglob('*_leftImg8bit.png'))
    assert len(jpegs) == len(pngs)
    records = load(data_root, f'instances_{split}').dataset['images']
    assert [record['file_name'] for record in records] == [path.name for path in jpegs]
    for jpeg, png in zip(jpegs, pngs, strict=True):
        first, second = (np.asarray(Image.open(path), float) for path in (jpeg, png))
        assert first.shape == (192, 320, 3) and np.abs(first - second).mean() < 6


def test_files_hold_the_scenes_in_rgb(data_root):
    rng = np.random.default_rng(np.random.SeedSequence([0, 1, 2]))
    scene = draw_scene(rng)
    stem = data_root / 'cityscapes/{}/val/synthetic/synthetic_000002_000019_{}.png'
    image = Image.open(str(stem).format('leftImg8bit', 'leftImg8bit'))
    labels = Image.open(str(stem).format('gtFine', 'gtFine_labelTrainIds'))
    np.testing.assert_array_equal(np.asarray(image), scene.image)
    np.testing.assert_array_equal(np.asarray(labels), scene.semantic)


@pytest.mark.parametrize('split', SPLITS)
def test_keypoint_records(data_root, split):
    people = load(data_root, f'person_keypoints_{split}')
    (category,) = people.dataset['categories']
    assert len(category['keypoints']) == 17 and len(category['skeleton']) == 19
    everything = load(data_root, f'instances_{split}')
    assert set(people.anns) == set(everything.getAnnIds(catIds=1))
    for annotation in people.dataset['annotations']:
        keypoints = np.array(annotation['keypoints']).reshape(17, 3)
        assert annotation['num_keypoints'] == np.count_nonzero(keypoints[:, 2])
        assert all(isinstance(value, int) for value in annotation['keypoints'][2::3])
        mask = people.annToMask(annotation)
        np.testing.assert_array_equal(keypoints[keypoints[:, 2] == 0], 0)
        labelled = keypoints[keypoints[:, 2] > 0, :2]
        assert (labelled >= -0.5).all() and (labelled <= np.array(mask.shape[::-1]) - 0.5).all()
        x, y = np.rint(keypoints[keypoints[:, 2] == 2, :2]).astype(int).T
        inside = mask[np.clip(y, 0, mask.shape[0] - 1), np.clip(x, 0, mask.shape[1] - 1)]
        # rounding to 0.01 pixel may carry a keypoint over the edge of its pixel
        assert inside.mean() > 0.99 if inside.size else True


def test_categories_are_those_of_coco(data_root):
    metainfo = pytest.importorskip('mmdet.datasets').CocoDataset.METAINFO
    categories = load(data_root, 'instances_train').dataset['categories']
    assert tuple(category['name'] for category in categories) == metainfo['classes']
    ids = [category['id'] for category in categories]
    assert ids == sorted(set(ids)) and ids[0] == 1 and ids[-1] == 90 and len(ids) == 80
    assert not {12, 26, 29, 30, 45, 66, 68, 69, 71, 83} & set(ids)


@pytest.mark.parametrize('kind', ['bbox', 'segm', 'keypoints'])
def test_the_truth_as_prediction_scores_one(data_root, kind):
    truth = load(data_root, 'person_keypoints_val' if kind == 'keypoints' else 'instances_val')
    keys = {'bbox': ('bbox',), 'segm': ('segmentation',), 'keypoints': ('keypoints',)}[kind]
    results = []
    for annotation in truth.dataset['annotations']:
        result = {key: annotation[key] for key in (*keys, 'image_id', 'category_id')}
        if kind == 'segm':
            result['segmentation'] = truth.annToRLE(annotation)
        results.append({**result, 'score': 1.0})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1, abs=1e-6)


def test_mmdet_reads_it(data_root):
    datasets = pytest.importorskip('mmdet.datasets')
    transforms = pytest.importorskip('mmdet.datasets.transforms')
    pipeline = [
        pytest.importorskip('mmcv.transforms').LoadImageFromFile(),
        transforms.LoadAnnotations(with_bbox=True, with_mask=True),
    ]
    dataset = datasets.CocoDataset(
        data_root=str(data_root / 'coco'),
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=pipeline,
    )
    assert len(dataset) == 12
    sample = dataset[0]
    assert sample['img'].shape == (192, 320, 3)
    truth = load(data_root, 'instances_train')
    assert len(sample['gt_bboxes']) == len(truth.getAnnIds(imgIds=1))
    assert set(sample['gt_bboxes_labels']) <= {0, 2}
    areas = sum(record['area'] for record in truth.imgToAnns[1])
    assert sample['gt_masks'].areas.sum() == pytest.approx(areas)


@pytest.mark.filterwarnings('ignore:The metainfo config file')
def test_mmpose_reads_it(data_root):
    datasets = pytest.importorskip('mmpose.datasets')
    dataset = datasets.CocoDataset(
        data_root=str(data_root / 'coco'),
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
        data_mode='topdown',
    )
    truth = load(data_root, 'person_keypoints_val')
    expected = [record for record in truth.dataset['annotations'] if record['num_keypoints']]
    assert len(dataset) == len(expected)
    sample = dataset[0]
    assert sample['keypoints'].shape == (1, 17, 2)
    assert Path(sample['img_path']).is_file()


def test_mmseg_reads_it(data_root):
    datasets = pytest.importorskip('mmseg.datasets')
    pipeline = [
        pytest.importorskip('mmcv.transforms').LoadImageFromFile(),
        pytest.importorskip('mmseg.datasets.transforms').LoadAnnotations(),
    ]
    for split, count in (('train', 12), ('val', 6)):
        dataset = datasets.CityscapesDataset(
            data_root=str(data_root / 'cityscapes'),
            data_prefix=dict(img_path=f'leftImg8bit/{split}', seg_map_path=f'gtFine/{split}'),
            pipeline=pipeline,
        )
        assert len(dataset) == count
        sample = dataset[0]
        assert sample['gt_seg_map'].shape == sample['img'].shape[:2] == (192, 320)
        names = {dataset.metainfo['classes'][label] for label in np.unique(sample['gt_seg_map'])}
        assert {'road', 'sidewalk', 'building', 'sky'} <= names <= set(TRAIN_IDS)


@pytest.mark.filterwarnings('ignore:The metainfo config file')
def test_the_truth_scores_one_in_mmpose(data_root):
    """Through mmpose's own dataset and metric, as `tools/test.py` would run them."""
    datasets = pytest.importorskip('mmpose.datasets')
    evaluation = pytest.importorskip('mmpose.evaluation')
    annotations = 'annotations/person_keypoints_val2017.json'
    root = data_root / 'coco'
    dataset = datasets.CocoDataset(
        data_root=str(root), ann_file=annotations, data_prefix=dict(img='val2017/'), test_mode=True
    )
    metric = evaluation.CocoMetric(ann_file=str(root / annotations))
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        truth = dataset.get_data_info(index)
        prediction = dict(keypoints=truth['keypoints'], keypoint_scores=np.ones((1, 17)))
        sizes = np.array([truth['bbox'][0, 2:] - truth['bbox'][0, :2]])
        boxes = dict(bbox_scales=sizes, bbox_scores=np.ones(1), bboxes=truth['bbox'])
        sample = dict(
            id=truth['id'],
            img_id=truth['img_id'],
            category_id=1,
            pred_instances=prediction,
            gt_instances=boxes,
        )
        metric.process({}, [sample])
    with contextlib.redirect_stdout(io.StringIO()):
        scores = metric.evaluate(size=len(dataset))
    assert scores['coco/AP'] == pytest.approx(1, abs=1e-6)


def test_the_truth_scores_one_in_mmseg(data_root):
    torch = pytest.importorskip('torch')
    evaluation = pytest.importorskip('mmseg.evaluation')
    datasets = pytest.importorskip('mmseg.datasets')
    metric = evaluation.IoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = datasets.CityscapesDataset.METAINFO
    paths = sorted((data_root / 'cityscapes/gtFine/val').rglob('*_labelTrainIds.png'))
    for path in paths:
        labels = torch.from_numpy(np.array(Image.open(path)))[None]
        sample = dict(pred_sem_seg=dict(data=labels), gt_sem_seg=dict(data=labels))
        metric.process({}, [sample])
    # classes that occur nowhere count as undefined, not as wrong
    assert metric.evaluate(size=len(paths))['mIoU'] == pytest.approx(100)
