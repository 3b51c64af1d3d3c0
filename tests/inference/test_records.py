"""What was found as JSON, and where files go."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.mask import decode
from refusal import refuses

from hrnet_mm.inference.output import Output, own_folders, require_output
from hrnet_mm.inference.records import RecordFile, record_of, summary_of
from hrnet_mm.inference.settings import Outcome
from hrnet_mm.inference.sources import Images, Picture, Unreadable, find_source
from hrnet_mm.pictures.metadata import Metadata
from hrnet_mm.pictures.predictions import Boxes, Classes, Labels, Poses, Prediction

LOOKS = Metadata(names=('sky', 'road'), colours=((0, 0, 255), (0, 255, 0)))
PICTURE = Picture('north/a.jpg', np.zeros((4, 6, 3), np.uint8))


def record(task: str, found: Prediction, picture: Picture = PICTURE) -> dict:
    entry = record_of(picture, {task: (found, LOOKS)}, drawn=None, labels=Path('out/labels/a.png'))
    return dict(json.loads(json.dumps(entry, allow_nan=False)))


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
    assert summary_of(found, LOOKS, least_score=0.3) == 'one person'


def test_label_maps_count_pixels_of_the_classes_present() -> None:
    labels = np.zeros((4, 6), np.int64)
    labels[:, 4:] = 1
    entry = record('segmentation', Labels(labels))
    assert entry['segmentation'] == {'pixels': {'sky': 16, 'road': 8}, 'labels': 'out/labels/a.png'}
    assert record('segmentation', Labels(labels * 0))['segmentation']['pixels'] == {'sky': 24}
    assert summary_of(Labels(1 - labels), LOOKS, least_score=0.3) == 'road 66.7%, sky 33.3%'


def test_objects_with_masks() -> None:
    masks = np.zeros((1, 4, 6), bool)
    masks[0, 1:3, 2:5] = True
    found = Boxes(np.array([[2.0, 1.0, 5.0, 3.0]]), np.array([0.9]), np.array([1]), masks)
    (thing,) = record('detection', found)['detection']['objects']
    assert np.array_equal(decode(thing.pop('mask')).astype(bool), masks[0])
    assert thing == {'box': [2.0, 1.0, 5.0, 3.0], 'label': 1, 'class': 'road', 'score': 0.9}
    assert summary_of(found, LOOKS, least_score=0.3) == 'one box: road 1'
    assert summary_of(found, LOOKS, least_score=0.95) == '0 boxes'


def test_classes() -> None:
    found = Classes(np.array([1, 0]), np.array([0.8, 0.2]))
    assert record('classification', found)['classification']['top5'] == [
        {'label': 1, 'class': 'road', 'score': 0.8},
        {'label': 0, 'class': 'sky', 'score': 0.2},
    ]
    assert summary_of(found, LOOKS, least_score=0.3) == 'road 80.0%, sky 20.0%'


def test_frames_say_when() -> None:
    frame = Picture('clip.mp4#3', PICTURE.image, 3, 0.12)
    entry = record('classification', Classes(np.zeros(0, int), np.zeros(0)), frame)
    assert (entry['frame'], entry['seconds']) == (3, 0.12)


def test_the_file_is_whole_even_after_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / 'found.json'
    with (
        pytest.raises(KeyboardInterrupt),
        RecordFile(path, networks={'pose': {'names': ['nose']}}) as records,
    ):
        records.add({'image': 'a.jpg'})
        records.skip(Unreadable('b.jpg', 'not an image'))
        records.add({'image': 'c.jpg'})
        raise KeyboardInterrupt
    assert json.loads(path.read_text()) == {
        'networks': {'pose': {'names': ['nose']}},
        'images': [{'image': 'a.jpg'}, {'image': 'c.jpg'}],
        'skipped': [{'image': 'b.jpg', 'why': 'not an image'}],
    }
    with RecordFile(path, networks={}):
        pass
    assert json.loads(path.read_text()) == {'networks': {}, 'images': [], 'skipped': []}


# --- Files -----------------------------------------------------------------------------------------


def test_pictures_and_label_maps_lie_as_the_images_do(tmp_path: Path) -> None:
    source = Images(tmp_path / 'in', ['north/a.jpg', 'south/a.jpg', 'b.bmp'])
    labels = np.array([[0, 7], [255, 3]])
    with Output(tmp_path / 'out', source=source) as output:
        for name in source.names:
            picture = Picture(name, PICTURE.image)
            output.write_picture(picture, np.full((4, 6, 3), (255, 0, 0), np.uint8))
            output.write_labels(picture, Labels(labels))
    files = {path.relative_to(tmp_path / 'out').as_posix() for path in (tmp_path / 'out').rglob('*.*')}
    assert files == {
        *(f'pictures/{name}' for name in ('north/a.jpg', 'south/a.jpg', 'b.bmp.png')),
        *(f'labels/{name}.png' for name in source.names),
    }
    read = cv2.imread(str(tmp_path / 'out/labels/b.bmp.png'), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint8 and np.array_equal(read, labels)
    assert cv2.imread(str(tmp_path / 'out/pictures/b.bmp.png'))[0, 0].tolist() == [0, 0, 255]


def test_label_maps_of_many_classes_have_16_bits(tmp_path: Path) -> None:
    labels = np.array([[0, 256], [999, 3]])
    path = Output(tmp_path, source=Images(tmp_path, ['a.jpg'])).write_labels(PICTURE, Labels(labels))
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16 and np.array_equal(read, labels)


def test_nothing_is_written_without_a_folder(tmp_path: Path) -> None:
    output = Output(None, source=Images(tmp_path, ['a.jpg']))
    assert not output.is_wanted
    assert output.write_picture(PICTURE, PICTURE.image) is None
    assert output.write_labels(PICTURE, Labels(np.zeros((2, 2), np.int64))) is None
    assert list(tmp_path.iterdir()) == []


def test_images_are_never_written_over(tmp_path: Path) -> None:
    for name in ('a.png', 'b.png', 'pictures/a.png'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    folder = find_source(tmp_path)
    refuses(lambda: require_output(tmp_path, source=folder), '--out-dir', 'another folder')
    inside = find_source(tmp_path / 'pictures')
    refuses(lambda: require_output(tmp_path, source=inside), '--out-dir', 'another folder')
    single = find_source(tmp_path / 'pictures' / 'a.png')
    refuses(lambda: require_output(tmp_path, source=single), '--out-dir', 'another folder')
    assert require_output(tmp_path, source=find_source(tmp_path / 'a.png')) == tmp_path
    assert require_output(tmp_path / 'out', source=folder).is_dir()
    refuses(lambda: require_output(tmp_path / 'a.png', source=folder), '--out-dir', 'a folder')
    assert own_folders('out') == (Path('out/pictures'), Path('out/labels'))


def test_the_outcome_in_words() -> None:
    skipped = tuple(Unreadable(f'{index}.jpg', 'why') for index in range(6))
    one = Outcome(1, (), Path('out'), None, {'pose': 'one person'})
    assert str(one) == 'pose: one person\n1 image, pictures in out'
    many = Outcome(3, skipped, None, Path('f.json'), {'pose': 'one person'})
    assert str(many) == (
        '3 images, results in f.json, 6 unreadable and skipped (0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...)'
    )
