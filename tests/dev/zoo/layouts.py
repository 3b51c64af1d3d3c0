"""The drawn scenes in every data layout that a zoo config reads, each where the config looks for it.

`write_data` fills one folder so that any config runs from it without a word changed. Only the layout is that
of the real data: label maps keep the scenes' values, and joints that COCO does not have are others of COCO's.
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

Image = npt.NDArray[np.uint8]
SIZE = (128, 192)

#: What the data sets call their splits.
NAMES = {
    'train': dict(split='train', long='training', test='train'),
    'val': dict(split='val', long='validation', test='test'),
}
#: Folder of images, folder of label maps, and how the maps' names end.
SEGMENTATION = (
    ('VOCdevkit/VOC2010/JPEGImages', 'VOCdevkit/VOC2010/SegmentationClassContext', '.png'),
    ('ade/ADEChallengeData2016/images/{long}', 'ade/ADEChallengeData2016/annotations/{long}', '.png'),
    ('coco_stuff10k/images/{test}2014', 'coco_stuff10k/annotations/{test}2014', '_labelTrainIds.png'),
    ('coco/{split}2017', 'coco/stuffthingmaps/{split}2017', '.png'),  # as HTC reads them
    ('LIP/{split}_images', 'LIP/{split}_segmentations', '.png'),
)
_MPII_JOINTS = 16
_MPII_PIXELS = 200.0  # MPII's scale is a person's height over this


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
    _write_detections(data / 'coco')
    for split in NAMES:
        pictures = list(_pictures(data, split))
        _write_segmentation(data, split, pictures)
        _write_mpii(data / 'mpii', split, pictures)
        _write_imagenet(data / 'imagenet', split, pictures)
        _write_classes(data / 'folder' / split, pictures)
    _write_own(data)
    _write_cifar10(data / 'cifar10' / 'cifar-10-batches-py', pictures)
    (place / 'demo_output').mkdir()
    (place / 'demo_output' / 'data').symlink_to(data)


def _pictures(data: Path, split: str) -> Iterator[Picture]:
    truth = json.loads((data / f'coco/annotations/person_keypoints_{split}2017.json').read_text())
    label_files = sorted((data / 'cityscapes' / 'gtFine' / split).rglob('*_labelTrainIds.png'))
    for record, labels in zip(truth['images'], label_files, strict=True):
        yield Picture(
            stem=Path(record['file_name']).stem,
            pixels=_read(data / f'coco/{split}2017' / record['file_name']),
            labels=_read(labels),
            people=[person for person in truth['annotations'] if person['image_id'] == record['id']],
        )


def _write_segmentation(data: Path, split: str, pictures: Sequence[Picture]) -> None:
    """Images and label maps of all data sets; PASCAL's splits are lists of stems."""
    for images, maps, suffix in SEGMENTATION:
        for picture in pictures:
            _save(data / images.format(**NAMES[split]) / f'{picture.stem}.jpg', picture.pixels)
            _save(data / maps.format(**NAMES[split]) / f'{picture.stem}{suffix}', picture.labels)
    stems = data / 'VOCdevkit/VOC2010/ImageSets/SegmentationContext' / f'{split}.txt'
    stems.parent.mkdir(parents=True, exist_ok=True)
    stems.write_text(''.join(f'{picture.stem}\n' for picture in pictures))


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
    joints = np.reshape(person['keypoints'], (-1, 3))[:_MPII_JOINTS]
    left, top, width, height = person['bbox']
    return {
        'image': f'{stem}.jpg',
        'center': [left + width / 2 + 1, top + height / 2 + 1],
        'scale': height / _MPII_PIXELS,
        'joints': (joints[:, :2] + 1.0).tolist(),
        'joints_vis': (joints[:, 2] > 0).astype(int).tolist(),
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


def _read(path: Path) -> Image:
    """A picture (BGR) or label map as it is on disk."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def _save(path: Path, pixels: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels)), path
