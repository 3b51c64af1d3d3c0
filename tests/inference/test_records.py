"""Predictions as JSON, and where files go."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.mask import decode
from refusal import refuses

from hrnet_mm.inference.outputs import OutputFiles, own_folders, require_output
from hrnet_mm.inference.records import record_file, record_of, summary_of
from hrnet_mm.inference.sources import Images, InputImage, Unreadable, find_source
from hrnet_mm.pictures.metadata import Metadata
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels, Poses, Prediction

METADATA = Metadata(names=('sky', 'road'), colours=((0, 0, 255), (0, 255, 0)))
IMAGE = InputImage('north/a.jpg', np.zeros((4, 6, 3), np.uint8))


def record(task: str, prediction: Prediction, image: InputImage = IMAGE) -> dict:
    labels = Path('out/labels/a.png')
    entry = record_of(image, {task: prediction}, {task: METADATA}, picture=None, labels=labels)
    return dict(json.loads(json.dumps(entry, allow_nan=False)))


def summary(prediction: Prediction, least_score: float = 0.3) -> str:
    return summary_of(prediction, METADATA, least_score=least_score)


def test_people() -> None:
    points = np.array([[[1.23456, 2.0], [np.nan, 3.0]]])
    found = Poses(points, np.array([[0.5, np.inf]]), np.array([[0.0, 1.0, 2.0, 3.0]]), np.array([0.75]))
    entry = record('pose', found)
    assert (entry['image'], entry['width'], entry['height'], entry['picture']) == ('north/a.jpg', 6, 4, None)
    (person,) = entry['pose']['people']
    assert person == {
        'box': [0.0, 1.0, 2.0, 3.0],
        'score': 0.75,
        'keypoints': [[1.235, 2.0, 0.5], [None, 3.0, None]],
    }
    alone = Poses(points, found.scores, None, found.box_scores)
    assert record('pose', alone)['pose']['people'][0]['box'] is None
    assert summary(found) == 'one person'


def test_label_maps_count_pixels_of_the_classes_present() -> None:
    labels = np.zeros((4, 6), np.int64)
    labels[:, 4:] = 1
    entry = record('segmentation', Labels(labels))
    assert entry['segmentation'] == {'pixels': {'sky': 16, 'road': 8}, 'labels': 'out/labels/a.png'}
    assert record('segmentation', Labels(labels * 0))['segmentation']['pixels'] == {'sky': 24}
    assert summary(Labels(1 - labels)) == 'road 66.7%, sky 33.3%'


def test_objects_with_masks() -> None:
    masks = np.zeros((1, 4, 6), bool)
    masks[0, 1:3, 2:5] = True
    found = Boxes(np.array([[2.0, 1.0, 5.0, 3.0]]), np.array([0.9]), np.array([1]), masks)
    (thing,) = record('detection', found)['detection']['objects']
    assert np.array_equal(decode(thing.pop('mask')).astype(bool), masks[0])
    assert thing == {'box': [2.0, 1.0, 5.0, 3.0], 'label': 1, 'class': 'road', 'score': 0.9}
    assert (summary(found), summary(found, least_score=0.95)) == ('one box: road 1', '0 boxes')


def test_classes_and_frames() -> None:
    found = Classes(np.array([1, 0]), np.array([0.8, 0.2]))
    entry = record('classification', found, InputImage('clip.mp4#3', IMAGE.pixels, 3, 0.12))
    assert (entry['frame'], entry['seconds']) == (3, 0.12)
    assert entry['classification']['top5'] == [
        {'label': 1, 'class': 'road', 'score': 0.8},
        {'label': 0, 'class': 'sky', 'score': 0.2},
    ]
    assert summary(found) == 'road 80.0%, sky 20.0%'


def test_the_file_is_whole_even_after_an_interruption(tmp_path: Path) -> None:
    path, skipped = tmp_path / 'found.json', list[Unreadable]()
    with (
        pytest.raises(KeyboardInterrupt),
        record_file(path, networks={'pose': {'names': ['nose']}}, skipped=skipped) as write,
    ):
        write({'image': 'a.jpg'})
        skipped.append(Unreadable('b.jpg', 'not an image'))
        write({'image': 'c.jpg'})
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == {
        'networks': {'pose': {'names': ['nose']}},
        'images': [{'image': 'a.jpg'}, {'image': 'c.jpg'}],
        'skipped': [{'image': 'b.jpg', 'why': 'not an image'}],
    }
    with record_file(path, networks={}, skipped=[]):
        pass
    assert json.loads(path.read_text()) == {'networks': {}, 'images': [], 'skipped': []}


# --- Files -----------------------------------------------------------------------------------------


def write(output: OutputFiles, name: str, labels: np.ndarray) -> dict[str, Path | None]:
    image = InputImage(name, np.full((4, 6, 3), (255, 0, 0), np.uint8))
    predictions = {'segmentation': Labels(labels)}
    metadata = {'segmentation': METADATA}
    return output.write(image, predictions, metadata, least_score=0.3, layout='panels')


def test_pictures_and_label_maps_lie_as_the_images_do(tmp_path: Path) -> None:
    source = Images(tmp_path / 'in', ('north/a.jpg', 'south/a.jpg', 'b.bmp'))
    output = OutputFiles(tmp_path / 'out', source=source)
    labels = np.array([[0, 1, 1, 0, 0, 1]] * 4)
    for name in source.names:
        write(output, name, labels)
    files = {path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.*')}
    assert files == {
        *(f'pictures/{name}' for name in ('north/a.jpg', 'south/a.jpg', 'b.bmp.png')),
        *(f'labels/{name}.png' for name in source.names),
    }
    read = cv2.imread(str(tmp_path / 'out/labels/b.bmp.png'), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint8 and np.array_equal(read, labels)
    drawn = cv2.imread(str(tmp_path / 'out/pictures/b.bmp.png'))
    blue, _, red = map(int, drawn[100, 100])  # of a red image, under the green of a road
    assert red > blue + 50


def test_label_maps_of_many_classes_have_16_bits(tmp_path: Path) -> None:
    labels = np.array([[0, 256, 299, 3, 3, 3]] * 4)
    path = write(OutputFiles(tmp_path, source=Images(tmp_path, ('a.jpg',))), 'a.jpg', labels)['labels']
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16 and np.array_equal(read, labels)


def test_images_are_never_written_over(tmp_path: Path) -> None:
    for name in ('a.png', 'b.png', 'pictures/a.png'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    folder = find_source(tmp_path)
    for inside in (folder, find_source(tmp_path / 'pictures'), find_source(tmp_path / 'pictures' / 'a.png')):
        refuses(lambda source=inside: require_output(tmp_path, source=source), '--out-dir', 'another folder')
    assert require_output(tmp_path, source=find_source(tmp_path / 'a.png')) == tmp_path
    assert require_output(tmp_path / 'out', source=folder).is_dir()
    refuses(lambda: require_output(tmp_path / 'a.png', source=folder), '--out-dir', 'a folder')
    assert own_folders('out') == (Path('out/pictures'), Path('out/labels'))
