"""``--show-dir``: the truth lies where it was annotated, whatever the pipeline did to it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from pixels import GREY, extent, flat, is_colour
from refusal import refuses
from torch.utils.data import DataLoader

import hrnet_mm  # noqa: F401  registers everything, as the tools do
from hrnet_mm.pictures import PairPicturesHook
from hrnet_mm.pictures.metadata import distinct_colours
from hrnet_mm.pictures.pair_pictures_hook import picture_path
from hrnet_mm.pictures.predictions import Labels, Poses, TruthReader, prediction_of

PICKED = distinct_colours(1)[0]
SIZE = (320, 640)  # height and width of the image; it is shown at half of it to the network
BOX = (100, 80, 300, 240)


def write_data(root: Path) -> None:
    """One grey image; a person in ``BOX``, with a mask and label map of the same extent."""
    left, top, right, bottom = BOX
    corners = [left, top, right, top, right, bottom, left, bottom]
    person = {'id': 1, 'image_id': 5, 'category_id': 1, 'iscrowd': 0, 'segmentation': [corners]}
    person |= {'bbox': [left, top, right - left, bottom - top], 'area': 32000}
    image = {'id': 5, 'file_name': 'a.png', 'height': SIZE[0], 'width': SIZE[1]}
    record = {'images': [image], 'annotations': [person], 'categories': [{'id': 1, 'name': 'person'}]}
    (root / 'people.json').write_text(json.dumps(record))
    labels = np.zeros(SIZE, np.uint8)
    labels[top:bottom, left:right] = 1
    (root / 'labels').mkdir()
    assert cv2.imwrite(str(root / 'labels/a.png'), labels)
    assert cv2.imwrite(str(root / 'a.png'), flat(GREY, size=SIZE))


def dataset_of(scope: str, root: Path, *, annotations_first: bool, padded: bool, mask: bool) -> Any:
    load = {'type': 'LoadAnnotations', **({'with_mask': True, 'with_bbox': True} if mask else {})}
    resize = [{'type': 'Resize', 'scale': (320, 160), 'keep_ratio': True}]
    resize += [{'type': 'Pad', 'size': (192, 352)}] if padded else []
    common = ['img_path', 'ori_shape', 'img_shape', 'scale_factor']
    pack = {
        'type': 'PackDetInputs' if scope == 'mmdet' else 'PackSegInputs',
        'meta_keys': ['img_id', *common],
    }
    steps = [load, *resize] if annotations_first else [*resize, load]
    section: dict[str, Any] = {
        'data_root': str(root),
        'test_mode': True,
        'metainfo': {'classes': ('person',) if scope == 'mmdet' else ('background', 'person')},
        'pipeline': [{'type': 'LoadImageFromFile'}, *steps, pack],
    }
    if scope == 'mmdet':
        section |= {'type': 'CocoDataset', 'ann_file': 'people.json', 'data_prefix': {'img': ''}}
    else:
        prefix = {'img_path': '', 'seg_map_path': 'labels'}
        section |= {'type': 'BaseSegDataset', 'data_prefix': prefix, 'img_suffix': '.png'}
    with DefaultScope.overwrite_default_scope(scope):
        return DATASETS.build(Config(section)._cfg_dict)


def shown(scope: str, dataset: Any, folder: Path, sample: Any) -> np.ndarray:
    """The picture of a data set's one sample, drawn by the hook as a runner would call it."""
    hook = PairPicturesHook(show_dir=str(folder))
    runner: Any = SimpleNamespace(
        test_dataloader=DataLoader(dataset),
        default_scope=SimpleNamespace(scope_name=scope),
        cfg=Config({'default_scope': scope}),
        model=SimpleNamespace(),
    )
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, 0, {'inputs': [None]}, [sample])
    hook.after_test_epoch(runner)
    return cv2.imread(str(folder / 'a.png'))[..., ::-1]


@pytest.mark.parametrize(('annotations_first', 'padded'), [(True, False), (True, True), (False, True)])
@pytest.mark.parametrize('kind', ['boxes', 'masks', 'labels'])
def test_truth_lies_where_it_was_annotated(
    kind: str, annotations_first: bool, padded: bool, tmp_path: Path
) -> None:
    """Annotations resized with the image, to a half of it, are brought back to the image's own size."""
    write_data(tmp_path)
    scope = 'mmseg' if kind == 'labels' else 'mmdet'
    dataset = dataset_of(
        scope, tmp_path, annotations_first=annotations_first, padded=padded, mask=kind == 'masks'
    )
    sample = pseudo_collate([dataset[0]])['data_samples'][0]
    if scope == 'mmseg':
        sample.pred_sem_seg = PixelData(data=torch.zeros(1, *SIZE, dtype=torch.long))
    else:
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.tensor  # as the data preprocessor does
        sample.pred_instances = InstanceData(
            bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long)
        )
    picture = shown(scope, dataset, tmp_path / 'show', sample)
    header = picture.shape[0] - SIZE[0]
    colour = distinct_colours(2)[1] if scope == 'mmseg' else PICKED
    half = (np.asarray(colour) + GREY) / 2
    truth = picture[header:, : SIZE[1]]
    drawn = is_colour(truth, colour, 2) if kind == 'boxes' else is_colour(truth, half, 2)
    left, top, right, bottom = extent(drawn)
    assert (left, right, bottom) == pytest.approx((BOX[0], BOX[2], BOX[3]), abs=3)
    assert top == pytest.approx(BOX[1] - (16 if kind == 'boxes' else 0), abs=4)


def test_models_that_do_something_else_are_refused() -> None:
    depth = BaseDataElement(pred_depth_map=1)
    message = "model = 'pred_depth_map': expected a model of mmseg for segmentation"
    refuses(lambda: prediction_of(depth, scope='mmseg'), message)


def test_panoptic_maps_are_shown_by_class() -> None:
    maps = PixelData(sem_seg=torch.tensor([[[3, 1003, 2005]]]))
    found = prediction_of(BaseDataElement(pred_panoptic_seg=maps), scope='mmdet')
    assert isinstance(found, Labels) and found.labels.tolist() == [[3, 3, 5]]


def test_people_keep_the_files_coordinates() -> None:
    people = InstanceData(keypoints=np.ones((2, 3, 2)), keypoints_visible=np.array([[1, 0, 2]] * 2))
    sample = BaseDataElement(gt_instances=people, metainfo={'input_center': (5, 5)})
    (found,) = TruthReader(None).on_image(sample)
    assert isinstance(found, Poses)
    assert (found.keypoints == 1).all() and found.scores.tolist() == [[1, 0, 1]] * 2


def test_pictures_lie_as_the_images_do_and_no_two_become_one() -> None:
    places = {'/d/val/a.tif': 'val/a.tif.png', '/other/a.JPG': 'other/a.JPG', '/d/a.bmp.png': 'a.bmp.png.png'}
    assert {path: picture_path(path, root='/d/') for path in places} == places
