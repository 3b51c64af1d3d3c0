"""The drawn scenes in every data layout that a zoo config reads, each where the config looks for it.

`write_data` fills one folder so that any config runs from it without a word changed. What is not in the
scenes (clothes, heads, stuff of COCO's naming) is derived from what is: pictures and labels stay in step.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.io import savemat

from hrnet_mm.data import write_coco_masks
from hrnet_mm.demo.dataset import generate
from hrnet_mm.demo.labels import COCO_IDS, KEYPOINTS, TRAIN_IDS

Image = npt.NDArray[np.uint8]
SPLITS = ('train', 'val')
SIZE = (128, 192)


@dataclass(frozen=True)
class Picture:
    """One scene as `generate` wrote it: its stem, BGR pixels, Cityscapes train ids, and COCO's people."""

    stem: str
    pixels: Image
    labels: Image
    people: Sequence[Mapping[str, Any]]


def write_data(place: Path, *, scenes: int = 2) -> None:
    """Write `place/data/...` in every layout, and `place/demo_output/data` as the demo has it."""
    data = place / 'data'
    generate(data, train=scenes, val=scenes, size=SIZE, people=(2, 3), seed=5, progress=False)
    pictures = {split: list(_pictures(data, split)) for split in SPLITS}
    _write_detections(data / 'coco')
    for layout in SEGMENTATION:
        layout.write(data, pictures)
    for split, items in pictures.items():
        _write_stuff_things(data / 'coco' / 'stuffthingmaps' / f'{split}2017', items)
        _write_lip(data / 'LIP', split, items)
        _write_mpii(data / 'mpii', split, items)
        _write_imagenet(data / 'imagenet', split, items)
        _write_classes(data / 'folder' / split, items)
    _write_own(data)
    _write_cifar10(data / 'cifar10' / 'cifar-10-batches-py', pictures['train'])
    (place / 'demo_output').mkdir()
    (place / 'demo_output' / 'data').symlink_to(data)


def _pictures(data: Path, split: str) -> Iterator[Picture]:
    truth = json.loads((data / f'coco/annotations/person_keypoints_{split}2017.json').read_text())
    label_files = sorted((data / 'cityscapes' / 'gtFine' / split).rglob('*_labelTrainIds.png'))
    for record, labels in zip(truth['images'], label_files, strict=True):
        yield Picture(
            stem=Path(record['file_name']).stem,
            pixels=read_picture(data / f'coco/{split}2017' / record['file_name']),
            labels=read_picture(labels),
            people=[person for person in truth['annotations'] if person['image_id'] == record['id']],
        )


# -- segmentation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SegmentationLayout:
    """A data set of pictures and label maps.

    Args:
        root: its folder.
        folders: split -> folders of pictures and of label maps.
        labels: our class -> value in the label maps; what is not named is `other`.
        suffix: of the label maps' names.
        other: value of the rest.
        lists: split -> file that lists the stems.
    """

    root: str
    folders: Mapping[str, tuple[str, str]]
    labels: Mapping[str, int]
    suffix: str = '.png'
    other: int = 0
    lists: Mapping[str, str] | None = None

    def write(self, data: Path, pictures: Mapping[str, Sequence[Picture]]) -> None:
        """Write pictures, label maps and lists of both splits."""
        table = _table(self.labels, other=self.other)
        for split, (images, maps) in self.folders.items():
            for picture in pictures[split]:
                _save(data / self.root / images / f'{picture.stem}.jpg', picture.pixels)
                _save(data / self.root / maps / f'{picture.stem}{self.suffix}', table[picture.labels])
        for split, name in (self.lists or {}).items():
            path = data / self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(''.join(f'{picture.stem}\n' for picture in pictures[split]))


def _table(labels: Mapping[str, int], *, other: int) -> Image:
    """Cityscapes train id -> value in another layout."""
    table = np.full(256, other, np.uint8)
    for name, value in labels.items():
        table[TRAIN_IDS[name]] = value
    return table


#: Values as the label maps on disk hold them: 0 is background (PASCAL-Context) or unlabelled (the others).
SEGMENTATION = (
    SegmentationLayout(
        root='VOCdevkit/VOC2010',
        folders=dict.fromkeys(SPLITS, ('JPEGImages', 'SegmentationClassContext')),
        labels=dict(road=41, sidewalk=45, building=11, vegetation=53, sky=47, person=37, car=14),
        lists={split: f'ImageSets/SegmentationContext/{split}.txt' for split in SPLITS},
    ),
    SegmentationLayout(
        root='ade/ADEChallengeData2016',
        folders={
            'train': ('images/training', 'annotations/training'),
            'val': ('images/validation', 'annotations/validation'),
        },
        labels=dict(road=7, sidewalk=12, building=2, pole=94, vegetation=5, sky=3, person=13, car=21),
    ),
    SegmentationLayout(
        root='coco_stuff10k',
        folders={
            'train': ('images/train2014', 'annotations/train2014'),
            'val': ('images/test2014', 'annotations/test2014'),
        },
        labels=dict(road=138, sidewalk=129, building=85, vegetation=158, sky=146, person=1, car=3),
        suffix='_labelTrainIds.png',
    ),
)


def _write_stuff_things(folder: Path, pictures: Sequence[Picture]) -> None:
    """COCO-Stuff's maps beside COCO's boxes, as HTC reads them: category ids from 0."""
    stuff = dict(road=149, sidewalk=140, building=96, vegetation=169, sky=157)
    table = _table({name: id_ - 1 for name, id_ in (stuff | COCO_IDS).items()}, other=255)
    for picture in pictures:
        _save(folder / f'{picture.stem}.png', table[picture.labels])


def _write_lip(root: Path, split: str, pictures: Sequence[Picture]) -> None:
    """One person each, cut out with a margin: face, clothes and trousers from top to bottom."""
    for picture in pictures:
        person = max(picture.people, key=lambda person: person['area'])
        left, top, width, height = person['bbox']
        y, x = max(0, top - 8), max(0, left - 8)
        window = np.s_[y : top + height + 8, x : left + width + 8]
        part = np.digitize(np.arange(picture.labels.shape[0]), [top + 0.2 * height, top + 0.55 * height])
        parts = np.array([13, 5, 9], np.uint8)[part][:, None]
        labels = np.where(picture.labels == TRAIN_IDS['person'], parts, 0).astype(np.uint8)
        _save(root / f'{split}_images' / f'{picture.stem}.jpg', picture.pixels[window])
        _save(root / f'{split}_segmentations' / f'{picture.stem}.png', labels[window])


# -- keypoints ------------------------------------------------------------------------------------

#: MPII's sixteen joints as means of COCO's; those of one name are the same.
_MPII_MEANS: Mapping[str, tuple[str, ...]] = {
    'pelvis': ('left_hip', 'right_hip'),
    'thorax': ('left_shoulder', 'right_shoulder'),
    'upper_neck': ('left_shoulder', 'right_shoulder', 'nose'),
    'head_top': ('left_eye', 'right_eye'),
}
_MPII_NAMES = """
    right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck head_top
    right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist
"""
MPII_JOINTS = {name: _MPII_MEANS.get(name, (name,)) for name in _MPII_NAMES.split()}
_MPII_PIXELS = 200.0  # MPII's scale is a person's height over this


def _write_mpii(root: Path, split: str, pictures: Sequence[Picture]) -> None:
    """mmpose's JSON of people, and the head boxes that PCKh is normalised by; pixels count from 1."""
    for picture in pictures:
        _save(root / 'images' / f'{picture.stem}.jpg', picture.pixels)
    people = [_mpii_person(picture.stem, person) for picture in pictures for person in picture.people]
    heads = np.stack([_head_box(person) for picture in pictures for person in picture.people], axis=2)
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    (root / 'annotations' / f'mpii_{split}.json').write_text(json.dumps(people))
    savemat(root / 'annotations' / f'mpii_gt_{split}.mat', {'headboxes_src': heads})


def _mpii_person(stem: str, person: Mapping[str, Any]) -> dict[str, Any]:
    points = np.reshape(person['keypoints'], (-1, 3))
    joints = [points[[KEYPOINTS.index(name) for name in parts]] for parts in MPII_JOINTS.values()]
    left, top, width, height = person['bbox']
    return {
        'image': f'{stem}.jpg',
        'center': [left + width / 2 + 1, top + height / 2 + 1],
        'scale': height / _MPII_PIXELS,
        'joints': [[float(value) + 1 for value in joint[:, :2].mean(axis=0)] for joint in joints],
        'joints_vis': [int((joint[:, 2] > 0).all()) for joint in joints],
    }


def _head_box(person: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """Two corners: the middle of the upper sixth of a person."""
    left, top, width, height = person['bbox']
    return np.array([[left + 0.3 * width, top], [left + 0.7 * width, top + height / 6]]) + 1


def _write_detections(coco: Path) -> None:
    """The file of detected people that COCO's pose configs are tested with: here the truth's boxes."""
    truth = json.loads((coco / 'annotations' / 'person_keypoints_val2017.json').read_text())
    keys = ('image_id', 'category_id', 'bbox')
    found = [{**{key: person[key] for key in keys}, 'score': 0.9} for person in truth['annotations']]
    path = coco / 'person_detection_results' / 'COCO_val2017_detections_AP_H_56_person.json'
    path.parent.mkdir()
    path.write_text(json.dumps(found))


# -- one's own data, classes ----------------------------------------------------------------------


def _write_own(data: Path) -> None:
    """Pictures, one annotation file and masks in a single folder."""
    shutil.copytree(data / 'coco' / 'val2017', data / 'own')
    ann_file = data / 'own' / 'person_keypoints.json'
    shutil.copy(data / 'coco' / 'annotations' / 'person_keypoints_val2017.json', ann_file)
    write_coco_masks(ann_file, data / 'own' / 'masks', progress=False)


def _write_classes(folder: Path, pictures: Sequence[Picture]) -> None:
    """Two classes: a person in the middle, or the upper left corner of the street."""
    for picture in pictures:
        left, top, width, height = picture.people[0]['bbox']
        _save(
            folder / 'person' / f'{picture.stem}.jpg', picture.pixels[top : top + height, left : left + width]
        )
        _save(folder / 'street' / f'{picture.stem}.jpg', picture.pixels[:64, :64])


def _write_imagenet(root: Path, split: str, pictures: Sequence[Picture]) -> None:
    """Pictures in one folder and a list of them with their labels, as ImageNet's validation images come."""
    lines = []
    for label, picture in enumerate(pictures):
        _save(root / split / f'{picture.stem}.jpg', picture.pixels)
        lines.append(f'{picture.stem}.jpg {label}\n')
    (root / 'meta').mkdir(exist_ok=True)
    (root / 'meta' / f'{split}.txt').write_text(''.join(lines))


def _write_cifar10(folder: Path, pictures: Sequence[Picture]) -> None:
    """CIFAR-10's pickles: rows of 3x32x32 RGB, two for each class."""
    folder.mkdir(parents=True)
    cuts = [picture.pixels[:32, 6 * i : 6 * i + 32, ::-1] for picture in pictures for i in range(10)]
    rows = np.stack([cut.transpose(2, 0, 1).ravel() for cut in cuts])
    batch = {'data': rows, 'labels': [i % 10 for i in range(len(rows))]}
    names = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
    for name in ('data_batch_1', 'test_batch'):
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / 'batches.meta').write_bytes(pickle.dumps({'label_names': list(names)}))


def cifar10_checksums(root: Path) -> dict[str, Any]:
    """Attributes of mmpretrain's CIFAR10 under which it accepts the files drawn below `root`.

    It tells CIFAR-10's own files by checksum, which no other file has.
    """

    def checksum(name: str) -> str:
        return hashlib.md5((root / 'cifar-10-batches-py' / name).read_bytes()).hexdigest()

    meta = {'filename': 'batches.meta', 'key': 'label_names', 'md5': checksum('batches.meta')}
    return {
        'train_list': [['data_batch_1', checksum('data_batch_1')]],
        'test_list': [['test_batch', checksum('test_batch')]],
        'meta': meta,
    }


def read_picture(path: Path) -> Image:
    """A picture (BGR) or label map as it is on disk."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def _save(path: Path, pixels: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels)), path
