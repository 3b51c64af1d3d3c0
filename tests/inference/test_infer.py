"""From configs and checkpoints to pictures and JSON, against what the packages' own inferencers find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from looking import Networks, look, numbers
from mmengine.config import Config
from mmengine.registry import init_default_scope
from small_networks import HEIGHT, SMALL, WIDTH, Files, write_scene

from hrnet_mm import Network
from hrnet_mm.checkpoints import load_file
from hrnet_mm.deploy import FusedHRNet

pytestmark = pytest.mark.slow

PHOTOS = ['a.jpg', 'north/a.jpg', 'south/b.png', 'tall.jpg']
# --- The same as the packages' inferencers -----------------------------------------------------------


def test_boxes_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmdet.apis import DetInferencer

    files = network('detection')
    _, record = look('photos/a.jpg', files)
    (entry,) = record['images']
    objects = entry['detection']['objects']
    expected = DetInferencer(files.config, files.checkpoint, device='cpu', show_progress=False)(
        'photos/a.jpg'
    )
    (theirs,) = expected['predictions']
    assert len(objects) == len(theirs['bboxes']) > 1
    np.testing.assert_allclose([each['box'] for each in objects], theirs['bboxes'], atol=2e-3)
    np.testing.assert_allclose([each['score'] for each in objects], theirs['scores'], atol=1e-5)
    assert {each['class'] for each in objects} == {'person'}


def test_label_maps_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmseg.apis import MMSegInferencer

    files = network('segmentation')
    _, record = look('photos/a.jpg', files, out_dir='out')
    theirs = MMSegInferencer(files.config, files.checkpoint, device='cpu')('photos/a.jpg')['predictions']
    (entry,) = record['images']
    labels = cv2.imread(entry['segmentation']['labels'], cv2.IMREAD_UNCHANGED)
    assert labels.shape == (HEIGHT, WIDTH) and 0.1 < labels.mean() < 0.9
    np.testing.assert_array_equal(labels, theirs)
    counts = {'ground': int((theirs == 0).sum()), 'person': int((theirs == 1).sum())}
    assert entry['segmentation']['pixels'] == counts


def test_classes_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmpretrain.apis import ImageClassificationInferencer

    files = network('classification')
    _, record = look('photos/a.jpg', files)
    init_default_scope('mmpretrain')
    theirs = ImageClassificationInferencer(files.config, pretrained=files.checkpoint, device='cpu')(
        'photos/a.jpg'
    )
    scores = theirs[0]['pred_scores']
    top = record['images'][0]['classification']['top5']
    assert [each['label'] for each in top] == np.argsort(-scores)[:5].tolist()
    assert [each['class'] for each in top] == ['ABCDEFG'[each['label']] for each in top]
    np.testing.assert_allclose([each['score'] for each in top], np.sort(scores)[::-1][:5], atol=1e-5)


def pose_inferencer(files: Files, **more: Any) -> Any:
    from mmpose.apis import MMPoseInferencer

    cfg = Config.fromfile(files.config)
    cfg.visualizer.backend = 'matplotlib'
    return MMPoseInferencer(cfg, files.checkpoint, device='cpu', **more)


def test_people_of_whole_images_are_those_of_the_package(network: Networks, place: Path) -> None:
    files = network('pose')
    _, record = look('photos/a.jpg', files)
    (person,) = record['images'][0]['pose']['people']
    ((theirs,),) = next(pose_inferencer(files, det_model='whole_image')('photos/a.jpg'))['predictions']
    assert person['box'] == [0, 0, WIDTH, HEIGHT]
    ours = np.array(person['keypoints'])
    assert ours.shape == (17, 3) and np.ptp(ours[:, 0]) > 10
    np.testing.assert_allclose(ours[:, :2], theirs['keypoints'], atol=2e-3)
    np.testing.assert_allclose(ours[:, 2], theirs['keypoint_scores'], atol=1e-5)
    assert record['networks']['pose']['names'][:2] == ['nose', 'left_eye']


def test_people_in_boxes_of_a_detector_are_those_of_the_package(network: Networks, place: Path) -> None:
    files, detector = network('pose'), network('detection')
    _, record = look('photos/a.jpg', files, detector=detector)
    inferencer = pose_inferencer(
        files, det_model=detector.config, det_weights=detector.checkpoint, det_cat_ids=0
    )
    (theirs,) = next(inferencer('photos/a.jpg'))['predictions']
    people = record['images'][0]['pose']['people']
    assert len(people) == len(theirs) > 1
    np.testing.assert_allclose([p['box'] for p in people], [p['bbox'][0] for p in theirs], atol=2e-3)
    ours = np.array([p['keypoints'] for p in people])[..., :2]
    np.testing.assert_allclose(ours, [p['keypoints'] for p in theirs], atol=2e-2)


# --- Boxes of a file ---------------------------------------------------------------------------------


def test_people_in_boxes_of_a_file(network: Networks, place: Path) -> None:
    boxes = {
        'a.jpg': [[10, 5, 60, 90], [80, 5, 140, 90, 0.5]],
        'north/a.jpg': [],
        'south/b.png': [[0, 0, 9, 9]],
    }
    Path('boxes.json').write_text(json.dumps({**boxes, 'tall.jpg': [[0, 0, 96, 160]]}))
    _, record = look('photos', network('pose'), boxes='boxes.json', out_dir='out')
    people = {entry['image']: entry['pose']['people'] for entry in record['images']}
    assert {name: len(each) for name, each in people.items()} == {
        'a.jpg': 2,
        'north/a.jpg': 0,
        'south/b.png': 1,
        'tall.jpg': 1,
    }
    assert [person['box'] for person in people['a.jpg']] == [[10, 5, 60, 90], [80, 5, 140, 90]]
    assert [person['score'] for person in people['a.jpg']] == [1.0, 0.5]
    points = np.array([person['keypoints'] for person in people['a.jpg']])
    assert (
        points[0, :, 0].max() < points[1, :, 0].min() + 60 and points[0, :, 0].mean() < points[1, :, 0].mean()
    )


# --- Batches, folders, videos ------------------------------------------------------------------------


@pytest.mark.parametrize('task', SMALL)
def test_batches_and_the_inference_form_find_the_same(task: str, network: Networks, place: Path) -> None:
    """Images of two sizes, and for pose several people in each."""
    options = {'detector': network('detection')} if task == 'pose' else {}
    outcome, alone = look('photos', network(task), **options)
    assert outcome.done == 4
    _, in_batches = look('photos', network(task), batch=3, **options)
    _, fast = look('photos', network(task), batch=2, fast=True, **options)
    for other in (in_batches, fast):
        assert [entry['image'] for entry in other['images']] == PHOTOS
        for entry, same in zip(alone['images'], other['images'], strict=True):
            expected = numbers(entry[task])
            assert expected.size > 1
            np.testing.assert_allclose(numbers(same[task]), expected, rtol=1e-3, atol=1e-3)


def test_the_inference_form_is_really_used(network: Networks, place: Path) -> None:
    for fast in (True, False):
        pose = Network(*network('pose'), fast=fast)
        pose.load()
        assert isinstance(pose._model.backbone, FusedHRNet) == fast


@pytest.mark.parametrize('task', SMALL)
def test_every_image_of_a_folder_gets_its_picture(task: str, network: Networks, place: Path) -> None:
    outcome, record = look('photos', network(task), out_dir='out')
    pictures = sorted(
        path.relative_to('out/pictures').as_posix() for path in Path('out/pictures').rglob('*.*')
    )
    assert pictures == PHOTOS
    assert [entry['picture'] for entry in record['images']] == [f'out/pictures/{name}' for name in PHOTOS]
    assert outcome.out_dir == Path('out') and outcome.skipped == ()
    for name in PHOTOS:
        before, after = cv2.imread(f'photos/{name}'), cv2.imread(f'out/pictures/{name}')
        assert min(after.shape[:2]) >= 256, 'small images are enlarged'
        large = cv2.resize(before, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        height, width = large.shape[:2]
        same_size = after.shape == large.shape
        assert not same_size or np.abs(after[:height, :width].astype(int) - large).max() > 100


def test_a_folder_with_a_broken_image_goes_on(
    network: Networks, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path('photos/broken.jpg').write_bytes(b'no image')
    Path('photos/notes.txt').write_text('not looked at')
    outcome, record = look('photos', network('classification'), batch=2)
    assert outcome.done == 4 and [each.name for each in outcome.skipped] == ['broken.jpg']
    assert record['skipped'] == [{'image': 'broken.jpg', 'why': 'not an image'}]
    assert [entry['image'] for entry in record['images']] == PHOTOS
    assert 'skipped broken.jpg: not an image' in capsys.readouterr().err
    assert '1 unreadable and skipped (broken.jpg)' in str(outcome)


def test_a_video_becomes_a_video(network: Networks, place: Path) -> None:
    writer = cv2.VideoWriter('clip.avi', cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (WIDTH, HEIGHT))
    for seed in range(3):
        write_scene(Path('frame.png'), seed=seed)
        writer.write(cv2.imread('frame.png'))
    writer.release()
    outcome, record = look('clip.avi', network('segmentation'), out_dir='out', batch=2)
    assert outcome.done == 3
    assert [(e['image'], e['frame'], e['seconds']) for e in record['images']] == [
        ('clip.avi#0', 0, 0.0),
        ('clip.avi#1', 1, 0.2),
        ('clip.avi#2', 2, 0.4),
    ]
    assert {entry['picture'] for entry in record['images']} == {'out/pictures/clip.mp4'}
    for entry in record['images']:
        assert sum(entry['segmentation']['pixels'].values()) == HEIGHT * WIDTH
        assert cv2.imread(entry['segmentation']['labels'], cv2.IMREAD_UNCHANGED).shape == (HEIGHT, WIDTH)
    capture = cv2.VideoCapture('out/pictures/clip.mp4')
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5.0)
    frames = [capture.read()[0] for _ in range(4)]
    assert frames == [True, True, True, False]


# --- All together ------------------------------------------------------------------------------------


@pytest.mark.parametrize('layout', ['panels', 'overlay'])
def test_several_networks_make_one_picture(layout: str, network: Networks, place: Path) -> None:
    networks = [network(task) for task in ('pose', 'segmentation', 'detection')]
    _, record = look('photos/a.jpg', networks, out_dir='out', layout=layout)
    (entry,) = record['images']
    shape = cv2.imread('out/pictures/a.jpg').shape
    assert (shape[0] > 6 * HEIGHT) == (layout == 'panels')
    alone = {
        task: look('photos/a.jpg', network(task))[1]['images'][0] for task in ('segmentation', 'detection')
    }
    assert entry['detection'] == alone['detection']['detection']
    assert entry['segmentation']['pixels'] == alone['segmentation']['segmentation']['pixels']
    with_detector = look('photos/a.jpg', network('pose'), detector=network('detection'))[1]
    assert entry['pose'] == with_detector['images'][0]['pose'], 'pose looks at the people that are detected'
    assert len(entry['pose']['people']) > 1


# --- What the data set is called ---------------------------------------------------------------------


def test_names_come_from_the_config_where_the_checkpoint_has_none(network: Networks, place: Path) -> None:
    for task, names in (('segmentation', ['background', 'person']), ('detection', ['person'])):
        content = load_file(network(task).checkpoint)
        torch.save({'state_dict': content['state_dict']}, 'nameless.pth')
        _, record = look('photos/a.jpg', network(task)._replace(checkpoint='nameless.pth'))
        assert record['networks'][task]['names'] == names
