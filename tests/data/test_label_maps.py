"""Label maps from a COCO file against masks written down by hand; ids as the guard of a run judges them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from hrnet_mm.config.errors import DataError
from hrnet_mm.data import write_coco_masks
from hrnet_mm.data.guard import FaultCounter, GuardedPipeline


def annotation(number: int, category: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    x, y, width, height = box
    polygon = [x, y, x + width, y, x + width, y + height, x, y + height]
    values = dict(id=number, image_id=7, category_id=category, bbox=list(box), area=width * height)
    return {**values, 'segmentation': [polygon], 'iscrowd': 0}


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    # over the last column of the image: runs go down the columns
    crowd = {'segmentation': {'size': [10, 20], 'counts': [190, 10]}, 'iscrowd': 1}
    content = {
        'images': [{'id': 7, 'file_name': 'street/a.jpg', 'height': 10, 'width': 20}],
        'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}, {'id': 18, 'name': 'dog'}],
        'annotations': [
            annotation(1, 1, (4, 2, 3, 4)),  # the small person stands in front of the large car
            annotation(2, 3, (2, 1, 10, 8)),
            {**annotation(4, 1, (19, 0, 1, 10)), **crowd},
        ],
    }
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(content))
    return path


def test_labels_overlaps_and_crowds(ann_file: Path, tmp_path: Path) -> None:
    written = write_coco_masks(ann_file, tmp_path / 'out', categories=['person', 'car'], progress=False)
    expected = np.zeros((10, 20), np.uint8)
    expected[1:9, 2:12] = 2
    expected[2:6, 4:7] = 1
    expected[:, 19] = 255
    assert written == [tmp_path / 'out' / 'street' / 'a.png']
    np.testing.assert_array_equal(cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED), expected)
    (persons,) = write_coco_masks(ann_file, tmp_path / 'persons', progress=False)
    assert set(np.unique(cv2.imread(str(persons), cv2.IMREAD_UNCHANGED))) == {0, 1, 255}


def test_folders_are_kept_and_what_cannot_be_drawn_is_named(ann_file: Path, tmp_path: Path) -> None:
    content = json.loads(ann_file.read_text())
    content['images'].append({**content['images'][0], 'id': 8, 'file_name': 'yard/a.jpg'})
    for entry in content['annotations']:
        entry.pop('iscrowd')
    ann_file.write_text(json.dumps(content))
    written = write_coco_masks(ann_file, tmp_path / 'out', progress=False)
    assert [path.relative_to(tmp_path / 'out').as_posix() for path in written] == [
        'street/a.png',
        'yard/a.png',
    ]
    content['annotations'][0]['segmentation'] = []
    ann_file.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match='1 annotations without an outline become background'):
        write_coco_masks(ann_file, tmp_path / 'out', progress=False)
    content['annotations'][0]['segmentation'] = [4, 2, 7, 2, 7, 6]
    # with a byte order mark, as editors on Windows write
    ann_file.write_text(json.dumps(content), encoding='utf-8-sig')
    with pytest.raises(ValueError, match='annotation 1 of image 7: its segmentation is one flat list'):
        write_coco_masks(ann_file, tmp_path / 'out', progress=False)
    del content['annotations'][0]['category_id']
    ann_file.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"'.*annotations\.json': annotations\[0\], id 1, has no category_id$"
    ):
        write_coco_masks(ann_file, tmp_path / 'out', progress=False)


def test_names_of_any_system_stay_in_the_folder_and_apart(ann_file: Path, tmp_path: Path) -> None:
    def write(*names: str, **size: Any) -> list[str]:
        content = json.loads(ann_file.read_text())
        image = {**content['images'][0], **size}
        content['images'] = [{**image, 'id': 7 + k, 'file_name': name} for k, name in enumerate(names)]
        (tmp_path / 'other.json').write_text(json.dumps(content))
        written = write_coco_masks(tmp_path / 'other.json', tmp_path / 'out', progress=False)
        return [path.relative_to(tmp_path / 'out').as_posix() for path in written]

    names = ('C:\\set\\a.jpg', '/home/b.jpg', '../c.jpg', 'süd ost/d.jpg')
    assert write(*names) == ['set/a.png', 'home/b.png', 'c.png', 'süd ost/d.png']
    assert write('a.jpg', width=20.0) == ['a.png']
    with pytest.raises(ValueError, match=r'several images would have the label map a\.png'):
        write('a.jpg', 'a.png')
    with pytest.raises(ValueError, match=r"image 7, width='20'; expected a number of pixels"):
        write('a.jpg', width='20')


def test_wrong_arguments_and_files_are_named(ann_file: Path, tmp_path: Path) -> None:
    out, other = tmp_path / 'out', tmp_path / 'other.json'
    with pytest.raises(ValueError, match=r"categories=\['person', 'cat'\].*'cat'.*'car', 'dog', 'person'"):
        write_coco_masks(ann_file, out, categories=['person', 'cat'])
    with pytest.raises(ValueError, match=r"ann_file='.*other\.json' does not exist"):
        write_coco_masks(other, out)
    other.write_text('{"version": 1}')
    with pytest.raises(ValueError, match=r'other\.json.* is no COCO annotation file'):
        write_coco_masks(other, out)
    assert not out.exists()
    with pytest.warns(UserWarning, match='no instance of dog'):
        write_coco_masks(ann_file, out, categories=['dog'], progress=False)


def test_a_sixteen_bit_label_map_of_small_ids_is_used(tmp_path: Path) -> None:
    """The loader keeps the lower 8 bits alone, which are all that is in it."""
    path = tmp_path / 'mask.png'
    guarded = GuardedPipeline(SimpleNamespace(transforms=[]), test_mode=True, counter=FaultCounter())
    sample = {'seg_map_path': str(path)}
    cv2.imwrite(str(path), np.full((4, 5), 255, np.uint16))
    assert guarded(sample) == sample
    cv2.imwrite(str(path), np.full((4, 5), 256, np.uint16))
    with pytest.raises(DataError, match='16-bit label map: it holds ids up to 256'):
        guarded(sample)
