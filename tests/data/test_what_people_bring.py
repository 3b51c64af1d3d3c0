"""What people's own data get wrong, in configs and files: told before a run, with names and numbers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco_mask
from refusal import refuses

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.paths import iter_datasets
from hrnet_mm.data.agreement import check_agreement
from hrnet_mm.data.check import check_datasets, check_start
from hrnet_mm.data.metainfo import check_metainfo
from hrnet_mm.data.segmentations import segmentation_fault

Project = Callable[[str], Config]
Change = Callable[[dict[str, Any]], object]
POLYGON = [1, 1, 9, 1, 9, 9]
SQUARE = coco_mask.encode(np.pad(np.ones((30, 40), np.uint8, order='F'), ((9, 25), (7, 49))))
POINTS: dict[str, Any] = dict(
    dataset_name='mine',
    keypoint_info={
        0: dict(name='nose', id=0, swap=''),
        1: dict(name='left', id=1, swap='right'),
        2: dict(name='right', id=2, swap='left'),
    },
    skeleton_info={0: dict(link=('left', 'right'), id=0)},
    joint_weights=[1.0] * 3,
    sigmas=[0.1] * 3,
)


def rewrite(path: Path, change: Change, *, out: Path | None = None) -> None:
    content = json.loads(path.read_text())
    change(content)
    (out or path).write_text(json.dumps(content))


def each(**values: Any) -> Change:
    """Other values in every annotation; ``None`` takes the key away."""

    def change(content: dict[str, Any]) -> None:
        for annotation in content['annotations']:
            annotation.update(values)
            for key in [key for key, value in values.items() if value is None]:
                del annotation[key]

    return change


def corners(content: dict[str, Any]) -> None:
    for annotation in content['annotations']:
        annotation['bbox'] = [50, 10, 90, 60]


@pytest.mark.parametrize(
    ('scope', 'change', 'parts'),
    [
        ('mmdet', each(iscrowd=None), ['annotation 1', 'has no iscrowd']),
        ('mmpose', each(area=None), ['annotation 1', 'has no area']),
        ('mmpose', each(num_keypoints=None), ['annotation 1', 'has no num_keypoints']),
        ('mmdet', lambda content: content['annotations'][0].update(id='a'), ["'a'", 'a whole number']),
        ('mmdet', lambda content: content['annotations'].clear(), ['none of 0 annotations']),
        ('mmpose', each(keypoints=[0] * 51), ['none of 5 annotations', '5 x no keypoints']),
        ('mmpose', each(keypoints=[9, 9, 0] * 17), ['5 x no keypoints', 'the visibility of all']),
        ('mmpose', each(num_keypoints=0), ['5 x no keypoints: its num_keypoints is 0']),
        ('mmpose', each(iscrowd=1), ['5 x crowd: iscrowd is 1']),
        ('mmpose', each(keypoints=[9, 9, -1] * 17), ['wrong visibility: -1']),
        ('mmpose', each(keypoints=[0.5, 0.9, 2] * 17), ['keypoints as fractions']),
        ('mmpose', each(bbox=None), ['none of 5 annotations', '5 x box of no size: has no bbox']),
        ('mmdet', each(category_id='1'), ['5 x', "of category '1', which is not in the list"]),
        ('mmdet', each(image_id='1'), ['5 x unknown image', "of image '1', which is not listed"]),
        ('mmdet', lambda content: content['images'].clear(), ['the list of images is empty']),
        (
            'mmdet',
            lambda content: content['categories'][0].update(name='dog'),
            ["class 'person'", 'the config has person, the file dog'],
        ),
    ],
)
def test_what_the_metric_cannot_read_stops_at_the_start(
    scope: str, change: Change, parts: list[str], project: Project, tmp_path: Path
) -> None:
    cfg = project(scope)
    rewrite(tmp_path / 'data/people.json', change)
    refuses(lambda: check_start(cfg, stages=['val']), 'val_dataloader.dataset = ', 'people.json', *parts)


@pytest.mark.parametrize(
    ('scope', 'change', 'told'),
    [
        ('mmdet', lambda content: content['annotations'][0].update(id=0), '1 x annotation id 0'),
        ('mmpose', each(area=0), '5 x area 0'),
        ('mmdet', corners, '1 x boxes by their corners'),
    ],
)
def test_what_the_metric_misjudges_is_told(
    scope: str, change: Change, told: str, project: Project, tmp_path: Path
) -> None:
    cfg = project(scope)
    rewrite(tmp_path / 'data/people.json', change)
    lines = check_start(cfg, stages=['val'])
    assert [line for line in lines if line.startswith(f'data: {told}')], lines


def test_the_metric_reads_the_loaders_file(project: Project, tmp_path: Path) -> None:
    """A copy under another name is the same; boxes of other images, or other images, are not."""
    cfg = project('mmdet')
    other = tmp_path / 'data/other.json'
    cfg.val_evaluator.ann_file = str(other)
    rewrite(tmp_path / 'data/people.json', each(more=1), out=other)
    assert check_start(cfg, stages=['val']) == []
    cfg.val_dataloader.dataset.indices = 2
    (line,) = check_start(cfg, stages=['val'])
    assert '1 x fewer images than the metric' in line
    del cfg.val_dataloader.dataset.indices
    for change, part in (
        (each(keypoints=[9, 9, 2]), 'annotations have 1 keypoints instead of 17'),
        (each(image_id=0), '4 of 4 images have other annotations'),
        (lambda content: content['images'].pop(), 'the images are others, such as c.png (id 3)'),
    ):
        rewrite(tmp_path / 'data/people.json', change, out=other)
        refuses(lambda: check_start(cfg, stages=['val']), 'people.json', f'the metric reads {other}', part)


@pytest.mark.parametrize(
    ('content', 'part'),
    [
        ([], 'holds nothing'),
        ({'annotations': []}, 'a COCO annotation file: that is for ann_file'),
        (
            [{'image_id': 0, 'category_id': 1, 'bbox': [1, 1, 9, 9]}],
            'box 0: unusable detections: has no score',
        ),
        ([{'image_id': 77, 'category_id': 1, 'bbox': [1, 1, 9, 9], 'score': 1}], 'of image 77'),
        ([{'image_id': 0, 'category_id': 2, 'bbox': [1, 1, 9, 9], 'score': 1}], 'of category 1'),
    ],
)
def test_a_detectors_boxes_are_of_the_data_set(
    content: Any, part: str, project: Project, tmp_path: Path
) -> None:
    cfg = project('mmpose')
    (tmp_path / 'data/boxes.json').write_text(json.dumps(content))
    cfg.val_dataloader.dataset.bbox_file = str(tmp_path / 'data/boxes.json')
    refuses(lambda: check_start(cfg, stages=['val']), 'boxes.json', part)


def test_a_byte_order_mark_is_named_before_pycocotools_meets_it(project: Project, tmp_path: Path) -> None:
    cfg = project('mmdet')
    people, other = tmp_path / 'data/people.json', tmp_path / 'data/other.json'
    cfg.val_evaluator.ann_file = str(other)
    for file in (other, people):
        other.write_text(people.read_text(), encoding='utf-8')
        file.write_text(people.read_text(), encoding='utf-8-sig')
        refuses(
            lambda: check_start(cfg, stages=['val']),
            file.name,
            'begins with a byte order mark',
            'without one',
        )


@pytest.mark.parametrize(
    ('segmentation', 'part'),
    [
        (POLYGON, 'one flat list of 6 numbers'),
        ([[]], 'no polygon'),
        ([[1, 1, 9, 9]], 'no polygon of its segmentation has three points (they have 4 numbers)'),
        ([[1, 1], [9, 1], [9, 9]], 'a list of points [x, y]'),
        ([[[1, 1], [9, 1], [9, 9]]], 'a list of points'),
        ([{'size': [64, 96], 'counts': 'x'}], 'a list with a run-length mask'),
        ([['1', '1', '9', '1', '9', '9']], 'no number'),
        ({'size': [96, 64], 'counts': 'x'}, 'expected [64, 96]'),
        ({'size': [64, 96], 'counts': [3, 4]}, 'do not add up'),
        ({'size': [64, 96], 'counts': 'no runs'}, 'do not add up'),
        ({'counts': 'x'}, 'has size None'),
        ('polygon', 'is a str'),
        ([[1, 1, 9, float('nan'), 9, 9]], 'no number of pixels'),  # pycocotools would draw it for ever
        ([[], POLYGON], 'the first polygon of its segmentation has 0 numbers'),
        ([[1, 1, 2, 2], POLYGON], 'the first polygon'),
        ([POLYGON], None),
        ([POLYGON, [1, 1, 2, 2]], None),
        (SQUARE, None),
        ({'size': [64, 96], 'counts': [96 * 64]}, None),
        ([], None),
    ],
)
def test_segmentations_in_every_form(segmentation: Any, part: str | None) -> None:
    why = segmentation_fault(segmentation, size=(96, 64))
    assert why is None if part is None else part in str(why)


def test_masks_that_cannot_be_drawn_stop_at_the_start(project: Project, tmp_path: Path) -> None:
    cfg = project('mmdet')
    cfg.train_dataloader.dataset.pipeline[1]['with_mask'] = True
    rewrite(tmp_path / 'data/people.json', each(segmentation=[POLYGON]))
    assert check_start(cfg, stages=['train']) == []
    rewrite(tmp_path / 'data/people.json', each(segmentation=POLYGON))
    refuses(lambda: check_start(cfg, stages=['train']), 'annotation 1: malformed segmentation', 'flat list')


def test_images_under_the_least_size_leave_nothing(project: Project) -> None:
    cfg = project('mmdet')
    cfg.train_dataloader.dataset.filter_cfg = dict(min_size=65)
    refuses(lambda: check_start(cfg, stages=['train']), 'none of 4 images has sides of 65 pixels or more')


@pytest.mark.parametrize(
    ('key', 'value', 'parts'),
    [
        ('classes', 'person', ['metainfo.classes', "a comma is missing: ('person',)"]),
        ('classes', ['a', 'b', 'a'], ["'a' stands twice"]),
        ('palette', [[0, 0, 0]], ['metainfo.palette', '2 colours', 'there are 1']),
    ],
)
def test_class_names_agree_with_themselves(key: str, value: Any, parts: list[str]) -> None:
    metainfo = {'classes': ('a', 'b'), 'palette': [[0, 0, 0], [1, 1, 1]]}
    check_metainfo('d', metainfo)
    refuses(lambda: check_metainfo('d', {**metainfo, key: value}), *parts)


@pytest.mark.parametrize('text', ['\ufeffa\nb', 'a\n\nb'])
def test_files_of_class_names_hold_names_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / 'classes.txt'
    file.write_text('a\nb\n')
    check_metainfo('d', {'classes': str(file)})
    file.write_text(text)
    refuses(lambda: check_metainfo('d', {'classes': str(file)}), 'd.metainfo.classes', 'a name on each line')


def _point(number: int, **values: Any) -> Change:
    return lambda points: points['keypoint_info'][number].update(values)


@pytest.mark.parametrize(
    ('change', 'parts'),
    [
        (lambda points: points.pop('sigmas'), ['metainfo.sigmas = None']),
        (lambda points: points['sigmas'].pop(), ['metainfo.sigmas', '3 numbers', 'there are 2']),
        (lambda points: points['sigmas'].__setitem__(1, 0), ['metainfo.sigmas', 'divides by them']),
        (lambda points: points['joint_weights'].append(1), ['metainfo.joint_weights', 'there are 4']),
        (_point(1, swap='rihgt'), ["keypoint_info.1.swap = 'rihgt'", 'one of nose, left, right']),
        (_point(2, swap='nose'), ["keypoint_info.1.swap = 'right'", "of 'right' is 'nose'"]),
        (_point(2, name='left'), ["keypoint_info.1.name = 'left'", 'stands twice']),
        (_point(2, id=3), ['keypoint_info.2.id = 3']),
        (lambda points: points['skeleton_info'][0].update(link=('left', 'foot')), ['link', "'foot'"]),
        (
            lambda points: points.update(keypoint_info=dict(enumerate(points['keypoint_info'].values(), 1))),
            ['keypoint_info = [1, 2, 3]', 'count from 0'],
        ),
    ],
)
def test_keypoints_agree_with_themselves(change: Change, parts: list[str]) -> None:
    check_metainfo('d', POINTS)
    wrong = copy.deepcopy(POINTS)
    change(wrong)
    refuses(lambda: check_metainfo('d', wrong), *parts)


@pytest.mark.parametrize(
    ('text', 'part'),
    [
        (f'dataset_info = {POINTS | {"sigmas": [0.1] * 2}}', 'dataset_info.sigmas = [0.1, 0.1]: expected 3'),
        (f'info = {POINTS}', 'expected a config with dataset_info'),
        ('dataset_info = dict(', 'expected a config that can be read (SyntaxError'),
    ],
)
def test_keypoints_in_a_file_of_their_own(text: str, part: str, tmp_path: Path) -> None:
    file = tmp_path / 'mine.py'
    file.write_text(f'dataset_info = {POINTS}')
    check_metainfo('d', {'from_file': str(file)})
    file.write_text(text)
    refuses(lambda: check_metainfo('d', {'from_file': str(file)}), 'd.metainfo.from_file', str(file), part)


@pytest.mark.parametrize(
    ('scope', 'head', 'key', 'expected'),
    [
        ('mmdet', dict(bbox_head=dict(num_classes=2)), 'bbox_head.num_classes = 2', '1 for the classes'),
        ('mmseg', dict(decode_head=dict(num_classes=3)), 'decode_head.num_classes = 3', '2 for the classes'),
        (
            'mmseg',
            dict(auxiliary_head=[dict(num_classes=2), dict(num_classes=1)]),
            'auxiliary_head.1.num_classes = 1',
            'cat, dog',
        ),
        (
            'mmseg',
            dict(decode_head=dict(num_classes=2, loss_decode=dict(class_weight=[1.0] * 3))),
            'decode_head.loss_decode.class_weight = [1.0, 1.0, 1.0]',
            '2 for the classes',
        ),
        ('mmpose', dict(head=dict(out_channels=3)), 'head.out_channels = 3', '17 for the keypoints'),
        ('mmpretrain', dict(head=dict(num_classes=1000)), 'head.num_classes = 1000', '2 for the classes'),
    ],
)
def test_heads_agree_with_the_data_set(
    scope: str, head: dict[str, Any], key: str, expected: str, project: Project
) -> None:
    cfg = project(scope)
    refuses(lambda: check_agreement(cfg, built(head), stages=['train', 'val']), f'model.{key}', expected)


def built(node: Any) -> Any:
    """Modules with the attributes of a nested dict."""
    from torch import nn

    if isinstance(node, list):
        return nn.ModuleList([built(part) for part in node])
    module = nn.Module()
    for name, value in node.items():
        nests = isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))
        setattr(module, name, built(value) if nests else value)
    return module


def test_heads_that_count_otherwise_are_left_alone(project: Project) -> None:
    cfg = project('mmdet')
    for head in (
        dict(rpn_head=dict(num_classes=1)),
        dict(roi_head=dict(semantic_head=dict(num_classes=183))),
        dict(language_model=dict(size=1), bbox_head=dict(num_classes=256)),
        dict(bbox_head=dict(num_classes=1, loss_cls=dict(class_weight=[1.0, 0.1]))),
    ):
        check_agreement(cfg, built(head), stages=['train', 'val'])


def test_a_codec_is_the_heads(project: Project) -> None:
    cfg = project('mmpose')
    cfg.model.head = dict(decoder=dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(12, 16)))
    check_agreement(cfg, None, stages=['train'])
    cfg.model.head.decoder.input_size = (64, 48)
    refuses(
        lambda: check_agreement(cfg, None, stages=['train']),
        'train_dataloader.dataset.pipeline.2.input_size = (48, 64)',
        '(64, 48), as model.head.decoder.input_size has it',
    )


def test_combined_data_sets_have_the_keypoints_of_all(project: Project) -> None:
    cfg = project('mmpose')
    part = cfg.train_dataloader.dataset
    whole = dict(type='CombinedDataset', metainfo=POINTS, datasets=[part], pipeline=[])
    cfg.train_dataloader.dataset = whole
    key = "train_dataloader.dataset.datasets.0 = '17 keypoints'"
    refuses(lambda: check_agreement(cfg, None, stages=['train']), key, '3 keypoints', 'KeypointConverter')
    part.pipeline = [dict(type='KeypointConverter', num_keypoints=3, mapping=[(0, 0), (5, 1), (6, 2)])]
    cfg.train_dataloader.dataset = {**whole, 'datasets': [part]}
    check_agreement(cfg, None, stages=['train'])


def test_a_bug_in_a_data_set_of_the_users_own_is_not_made_one_line(project: Project, tmp_path: Path) -> None:
    from mmengine.registry import DATASETS

    @DATASETS.register_module(force=True)
    class Buggy:
        def __init__(self, **_: Any) -> None:
            raise KeyError('mine')

    cfg = project('mmdet')
    cfg.train_dataloader.dataset = dict(type='Buggy')
    with pytest.raises(KeyError, match='mine'):
        check_start(cfg, stages=['train'])
    cfg.train_dataloader.dataset = dict(type='mmdet.CocoDataset', nonsense=[1], ann_file='none.json')
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset.*'nonsense'"):
        check_start(cfg, stages=['train'])


def masks_of(folder: Path, ids: Sequence[int]) -> None:
    """Other label maps, each with all of some ids."""
    for path in sorted(folder.rglob('*.png')):
        mask = np.array([ids], np.uint8).repeat(64, axis=0).repeat(-(-96 // len(ids)), axis=1)[:, :96]
        cv2.imwrite(str(path), mask)


@pytest.mark.parametrize(
    ('ids', 'parts'),
    [
        ((0, 255), ('binary label maps', 'only ids are 0 and 255', 'write class ids')),
        ((1, 2), ('label maps from 1', 'ids 1 to 2 and no 0', 'reduce_zero_label=True')),
        ((1, 2, 255), ('label maps from 1',)),
    ],
)
def test_label_maps_that_teach_something_else(
    project: Project, tmp_path: Path, ids: Sequence[int], parts: Sequence[str]
) -> None:
    cfg = project('mmseg')
    masks_of(tmp_path / 'data' / 'masks', ids)
    refuses(lambda: check_start(cfg, stages=['train']), 'train_dataloader.dataset', *parts)


def test_label_maps_of_one_bit_are_read_as_0_and_1(project: Project, tmp_path: Path) -> None:
    cfg = project('mmseg')
    for path in sorted((tmp_path / 'data' / 'masks').rglob('*.png')):
        Image.open(path).point(bool, '1').save(path)
    assert check_datasets(cfg, split='train', progress=False).counts == {'images of other suffixes': 1}


def test_a_class_without_a_pixel_is_told(project: Project, tmp_path: Path) -> None:
    cfg = project('mmseg')
    masks_of(tmp_path / 'data' / 'masks', (1, 255))
    line = next(line for line in check_start(cfg, stages=['train']) if 'class without a pixel' in line)
    assert 'the ids are 1, 255' in line


def test_folders_of_classes_keep_their_order_and_labels_are_theirs(project: Project, tmp_path: Path) -> None:
    cfg = project('mmpretrain')
    train = cfg.train_dataloader.dataset
    train.metainfo.classes = ('dog', 'cat')
    refuses(lambda: check_start(cfg, stages=['train']), "metainfo.classes = ('dog', 'cat')", 'cat, dog')
    train.metainfo.classes = ('Katze', 'Hund')
    assert check_start(cfg, stages=['train']) == []
    names = tmp_path / 'names.txt'
    names.write_text('cat/a.jpg 0\ndog/a.jpg 2')
    train.ann_file = str(names)
    refuses(lambda: check_start(cfg, stages=['train']), 'sample 1: label of no class: label 2', 'Katze, Hund')


def test_classes_are_the_same_in_all_data_sets(project: Project) -> None:
    """mmdet joins data sets of any classes, and validates on any."""
    cfg, head = project('mmdet'), built(dict(bbox_head=dict(num_classes=1)))
    other = {**cfg.train_dataloader.dataset, 'metainfo': dict(classes=('dog',))}
    cfg.val_dataloader.dataset.metainfo.classes = ('dog',)
    expected = "val_dataloader.dataset, its classes = 'dog'", 'those of train_dataloader.dataset', 'person'
    refuses(lambda: check_agreement(cfg, head, stages=['train', 'val']), *expected)
    joined = dict(type='ConcatDataset', datasets=[cfg.train_dataloader.dataset, other])
    cfg.train_dataloader.dataset = joined
    refuses(lambda: check_agreement(cfg, head, stages=['train']), "datasets.1, its classes = 'dog'", 'person')


def test_suffixes_that_a_folder_does_not_have(project: Project, tmp_path: Path) -> None:
    cfg = project('mmseg')
    folder = tmp_path / 'data' / 'images'
    first, *others = sorted(folder.rglob('*.jpg'))
    first.rename(first.with_suffix('.JPG'))
    (line,) = check_start(cfg, stages=['train'])
    assert '1 x images of other suffixes' in line and '1 x .JPG' in line
    for path in others:
        path.rename(path.with_suffix('.JPG'))
    refuses(lambda: check_start(cfg, stages=['train']), "img_suffix = '.jpg'", str(folder), '.JPG')


@pytest.mark.parametrize('scope', ['mmseg', 'mmpretrain'])
@pytest.mark.parametrize('stage', ['train', 'val'])
def test_lists_without_an_image_with_one_that_is_not_there_or_with_a_byte_order_mark(
    scope: str, stage: str, project: Project, tmp_path: Path
) -> None:
    cfg = project(scope)
    names = tmp_path / 'names.txt'
    cfg[f'{stage}_dataloader'].dataset.ann_file = str(names)
    names.touch()
    refuses(
        lambda: check_start(cfg, stages=[stage]), f'{stage}_dataloader.dataset = ', str(names), 'lists none'
    )
    names.write_text('gone.jpg 0')
    refuses(lambda: check_start(cfg, stages=[stage]), 'gone.jpg', 'missing image')
    names.write_text('b.jpg 0', encoding='utf-8-sig')
    refuses(lambda: check_start(cfg, stages=[stage]), str(names), 'begins with a byte order mark')


def test_images_are_judged_by_the_loader_that_reads_them(project: Project, tmp_path: Path) -> None:
    cfg = project('mmseg')
    for path in sorted((tmp_path / 'data' / 'images').rglob('*.jpg')):
        cv2.imwrite(str(path), np.full((64, 96), 90, np.uint8))
    assert check_datasets(cfg, split='train', progress=False).counts['grey image'] == 3
    step = dict(type='LoadImageFromFile', color_type='grayscale')
    for _, section in iter_datasets(cfg, stages=['train']):
        section['pipeline'][0] = step
    assert 'grey image' not in check_datasets(cfg, split='train', progress=False).counts
