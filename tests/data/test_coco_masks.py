"""Label maps from a COCO file, against masks written down by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hrnet_mm.data import write_coco_masks


def box_polygon(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def annotation(number: int, category: int, box: tuple[int, int, int, int]) -> dict:
    return {
        'id': number,
        'image_id': 7,
        'category_id': category,
        'segmentation': box_polygon(*box),
        'bbox': list(box),
        'area': box[2] * box[3],
        'iscrowd': 0,
    }


def crowd(number: int, category: int) -> dict:
    """A run-length crowd over the last column of a 10x20 image: runs go down the columns."""
    return {
        'id': number,
        'image_id': 7,
        'category_id': category,
        'segmentation': {'size': [10, 20], 'counts': [190, 10]},
        'bbox': [19, 0, 1, 10],
        'area': 10,
        'iscrowd': 1,
    }


@pytest.fixture
def ann_file(tmp_path: Path) -> Path:
    content = {
        'images': [{'id': 7, 'file_name': 'street/a.jpg', 'height': 10, 'width': 20}],
        'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}, {'id': 18, 'name': 'dog'}],
        'annotations': [
            annotation(1, 1, (4, 2, 3, 4)),  # the small person stands in front of the large car
            annotation(2, 3, (2, 1, 10, 8)),
            annotation(3, 18, (14, 0, 2, 2)),
            crowd(4, 1),
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
    assert written == [tmp_path / 'out' / 'a.png']
    np.testing.assert_array_equal(cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED), expected)


def test_only_persons_by_default(ann_file: Path, tmp_path: Path) -> None:
    (written,) = write_coco_masks(ann_file, tmp_path / 'out', progress=False)
    assert set(np.unique(cv2.imread(str(written), cv2.IMREAD_UNCHANGED))) == {0, 1, 255}


def test_unknown_category_is_named_with_those_known(ann_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"categories=\['person', 'cat'\].*'cat'.*'car', 'dog', 'person'"):
        write_coco_masks(ann_file, tmp_path / 'out', categories=['person', 'cat'])
    assert not (tmp_path / 'out').exists()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ann_file='.*nothing\.json' does not exist"):
        write_coco_masks(tmp_path / 'nothing.json', tmp_path / 'out')


def test_category_without_instances_is_told(ann_file: Path, tmp_path: Path) -> None:
    content = json.loads(ann_file.read_text())
    content['annotations'] = content['annotations'][:2]
    ann_file.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match='no instance of dog'):
        write_coco_masks(ann_file, tmp_path / 'out', categories=['dog'], progress=False)


def test_json_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / 'other.json').write_text('{"version": 1}')
    with pytest.raises(ValueError, match=r'other\.json.* is no COCO annotation file'):
        write_coco_masks(tmp_path / 'other.json', tmp_path / 'out')
