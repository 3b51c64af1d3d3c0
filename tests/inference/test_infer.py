"""From configs and checkpoints to pictures and JSON, against what the packages' own inferencers find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from small_networks import HEIGHT, SMALL, WIDTH, Files, Networks, look, numbers, write_scene

from hrnet_mm import Network
from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.build import build_model, build_trained
from hrnet_mm.deploy import FusedHRNet

pytestmark = pytest.mark.nightly

PHOTOS = ['a.jpg', 'north/a.jpg', 'north/tall.jpg', 'south/b.png']


# --- The same as the packages' inferencers -----------------------------------------------------------


def test_boxes_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmdet.apis import DetInferencer

    files = network('detection')
    _, record = look('photos/a.jpg', files)
    objects = record['images'][0]['detection']['objects']
    inferencer = DetInferencer(*files, device='cpu', show_progress=False)
    (theirs,) = inferencer('photos/a.jpg')['predictions']
    assert len(objects) == len(theirs['bboxes']) > 1
    np.testing.assert_allclose([each['box'] for each in objects], theirs['bboxes'], atol=2e-3)
    np.testing.assert_allclose([each['score'] for each in objects], theirs['scores'], atol=1e-5)
    assert {each['class'] for each in objects} == {'person'}


def test_label_maps_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmseg.apis import MMSegInferencer

    files = network('segmentation')
    _, record = look('photos/a.jpg', files, out_dir='out')
    theirs = MMSegInferencer(*files, device='cpu')('photos/a.jpg')['predictions']
    (entry,) = record['images']
    labels = cv2.imread(entry['segmentation']['labels'], cv2.IMREAD_UNCHANGED)
    assert labels.shape == (HEIGHT, WIDTH) and 0.1 < labels.mean() < 0.9
    np.testing.assert_array_equal(labels, theirs)
    counts = {'ground': int((theirs == 0).sum()), 'person': int((theirs == 1).sum())}
    assert entry['segmentation']['pixels'] == counts


def test_classes_are_those_of_the_package(network: Networks, place: Path) -> None:
    from mmpretrain.apis import ImageClassificationInferencer

    config, checkpoint = network('classification')
    _, record = look('photos/a.jpg', network('classification'))
    init_default_scope('mmpretrain')
    inferencer = ImageClassificationInferencer(config, pretrained=checkpoint, device='cpu')
    scores = inferencer('photos/a.jpg')[0]['pred_scores']
    top = record['images'][0]['classification']['top5']
    assert [each['label'] for each in top] == np.argsort(-scores)[:5].tolist()
    assert [each['class'] for each in top] == ['ABCDEFG'[each['label']] for each in top]
    np.testing.assert_allclose([each['score'] for each in top], np.sort(scores)[::-1][:5], atol=1e-5)


def their_people(files: Files, **more: Any) -> list[dict[str, Any]]:
    """What mmpose's inferencer finds in ``photos/a.jpg``."""
    from mmpose.apis import MMPoseInferencer

    cfg = Config.fromfile(files.config)
    cfg.visualizer.backend = 'matplotlib'
    inferencer = MMPoseInferencer(cfg, files.checkpoint, device='cpu', **more)
    (people,) = next(inferencer('photos/a.jpg'))['predictions']
    return list(people)


def test_people_of_whole_images_are_those_of_the_package(network: Networks, place: Path) -> None:
    _, record = look('photos/a.jpg', network('pose'))
    (person,) = record['images'][0]['pose']['people']
    (theirs,) = their_people(network('pose'), det_model='whole_image')
    assert person['box'] == [0, 0, WIDTH, HEIGHT]
    ours = np.array(person['keypoints'])
    assert ours.shape == (17, 3) and np.ptp(ours[:, 0]) > 10
    np.testing.assert_allclose(ours[:, :2], theirs['keypoints'], atol=2e-3)
    np.testing.assert_allclose(ours[:, 2], theirs['keypoint_scores'], atol=1e-5)
    assert record['networks']['pose']['names'][:2] == ['nose', 'left_eye']


def test_people_in_boxes_of_a_detector_are_those_of_the_package(network: Networks, place: Path) -> None:
    detector = network('detection')
    _, record = look('photos/a.jpg', network('pose'), detector=detector)
    theirs = their_people(
        network('pose'), det_model=detector.config, det_weights=detector.checkpoint, det_cat_ids=0
    )
    people = record['images'][0]['pose']['people']
    assert len(people) == len(theirs) > 1
    np.testing.assert_allclose([p['box'] for p in people], [p['bbox'][0] for p in theirs], atol=2e-3)
    ours = np.array([p['keypoints'] for p in people])[..., :2]
    np.testing.assert_allclose(ours, [p['keypoints'] for p in theirs], atol=2e-2)


# --- The network by itself ---------------------------------------------------------------------------


def test_arrays_paths_and_lists_of_both(network: Networks, place: Path) -> None:
    classifier = Network(*network('classification'), device='cpu')
    image = cv2.imread('photos/north/tall.jpg')[..., ::-1]
    before = image.copy()
    from_path = classifier.predict('photos/north/tall.jpg')
    both = classifier.predict([Path('photos/a.jpg'), image], batch=2)
    np.testing.assert_allclose(both[1].scores, from_path.scores, rtol=1e-4)
    assert np.array_equal(image, before)
    assert not np.allclose(both[0].scores, from_path.scores)
    with pytest.raises(
        ValueError, match=r'boxes = 1: expected a top-down pose network .* ClsHead|ImageClass'
    ):
        classifier.predict(image, boxes=np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"images = 'gone.jpg': expected an image that can be read"):
        classifier.predict('gone.jpg')


def test_people_are_looked_at_in_the_order_of_their_boxes(network: Networks, place: Path) -> None:
    pose = Network(*network('pose'), device='cpu')
    left, right = [10, 5, 60, 90], [80, 5, 140, 90, 0.5]
    path = 'photos/a.jpg'
    first, nobody, both = pose.predict([path] * 3, boxes=[[left], [], [[*left, 1], right]], batch=3)
    np.testing.assert_allclose(both.keypoints[:1], first.keypoints, atol=1e-3)
    assert both.boxes.tolist() == [left, right[:4]] and both.box_scores.tolist() == [1, 0.5]
    assert nobody.keypoints.shape == (0, 17, 2)
    assert both.keypoints[1, :, 0].mean() > both.keypoints[0, :, 0].mean() + 20


def test_weights_of_another_layout_and_of_a_model_without_an_hrnet(network: Networks, place: Path) -> None:
    classification = network('classification')
    state = load_file(classification.checkpoint)['state_dict']
    torch.save({'model': {f'module.{name}': value for name, value in state.items()}}, 'wrapped.pth')
    wrapped = Network(classification.config, 'wrapped.pth', device='cpu').predict('photos/a.jpg')
    plain = Network(*classification, device='cpu').predict('photos/a.jpg')
    assert np.array_equal(wrapped.scores, plain.scores)
    cfg = Config.fromfile(classification.config)
    cfg.model.backbone = {'type': 'ResNet', 'depth': 18, 'out_indices': (3,)}
    cfg.model.neck = {'type': 'GlobalAveragePooling'}
    cfg.model.head.in_channels = 512
    model = build_model(cfg)
    torch.save(model.state_dict(), 'resnet.pth')
    loaded = build_trained(cfg, 'resnet.pth')
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    torch.save({n: v for n, v in model.state_dict().items() if n != 'head.fc.bias'}, 'resnet.pth')
    with pytest.raises(ValueError, match=r"'resnet.pth': expected all weights .* such as head.fc.bias"):
        build_trained(cfg, 'resnet.pth')


# --- Batches, folders, videos ------------------------------------------------------------------------


@pytest.mark.parametrize('task', SMALL)
def test_batches_and_the_inference_form_find_the_same(task: str, network: Networks, place: Path) -> None:
    """Images of two sizes that take turns, and for pose several people in each."""
    options = {'detector': network('detection')} if task == 'pose' else {}
    outcome, alone = look('photos', network(task), **options)
    assert outcome.done == 4
    _, other = look('photos', network(task), batch=4, fast=True, **options)
    assert [entry['image'] for entry in other['images']] == PHOTOS
    for entry, same in zip(alone['images'], other['images'], strict=True):
        expected = numbers(entry[task])
        assert expected.size > 1
        np.testing.assert_allclose(numbers(same[task]), expected, rtol=1e-3, atol=1e-3)


def test_the_inference_form_is_really_used(network: Networks) -> None:
    pose = Network(*network('pose'), fast=True)
    pose.load()
    assert isinstance(pose._model.backbone, FusedHRNet)


def test_a_folder_with_a_broken_image_goes_on(
    network: Networks, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path('photos/broken.jpg').write_bytes(b'no image')
    Path('photos/notes.txt').write_text('not looked at')
    outcome, record = look('photos', network('classification'), batch=2, out_dir='out')
    assert outcome.done == 4 and [each.name for each in outcome.skipped] == ['broken.jpg']
    assert record['skipped'] == [{'image': 'broken.jpg', 'why': 'not an image that LoadImageFromFile reads'}]
    assert [entry['image'] for entry in record['images']] == PHOTOS
    assert [entry['picture'] for entry in record['images']] == [f'out/pictures/{name}' for name in PHOTOS]
    assert all(min(cv2.imread(f'out/pictures/{name}').shape[:2]) >= 256 for name in PHOTOS), 'enlarged'
    assert 'skipped broken.jpg: not an image that' in capsys.readouterr().err
    assert '1 unreadable and skipped (broken.jpg)' in str(outcome)


def test_a_video_becomes_a_video_of_its_size(network: Networks, place: Path) -> None:
    writer = cv2.VideoWriter('clip.avi', cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (WIDTH, HEIGHT))
    for seed in range(3):
        write_scene(Path('frame.png'), seed=seed)
        writer.write(cv2.imread('frame.png'))
    writer.release()
    networks = [network('segmentation'), network('detection')]
    outcome, record = look('clip.avi', networks[0], out_dir='out', batch=2)
    assert outcome.done == 3
    assert [(e['image'], e['frame'], e['seconds']) for e in record['images']] == [
        ('clip.avi#0', 0, 0.0),
        ('clip.avi#1', 1, 0.2),
        ('clip.avi#2', 2, 0.4),
    ]
    assert {entry['picture'] for entry in record['images']} == {'out/pictures/clip.mp4'}
    labels = [entry['segmentation']['labels'] for entry in record['images']]
    assert labels == [f'out/labels/clip.avi/00000{number}.png' for number in range(3)]
    assert cv2.imread(labels[0], cv2.IMREAD_UNCHANGED).shape == (HEIGHT, WIDTH)
    look('clip.avi', networks[1], out_dir='out')
    capture = cv2.VideoCapture('out/pictures/clip.mp4')
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5.0)
    frames = [capture.read() for _ in range(4)]
    assert [is_frame for is_frame, _ in frames] == [True, True, True, False]
    assert frames[0][1].shape == (HEIGHT, WIDTH, 3), 'small videos are not enlarged'


# --- All together ------------------------------------------------------------------------------------


def test_several_networks_make_one_picture(network: Networks, place: Path) -> None:
    networks = [network(task) for task in ('pose', 'segmentation', 'detection')]
    _, record = look('photos/a.jpg', networks, out_dir='out', layout='panels')
    assert cv2.imread('out/pictures/a.jpg').shape[0] > 6 * HEIGHT
    (entry,) = record['images']
    _, overlay = look('photos/a.jpg', networks[1:], out_dir='out', layout='overlay')
    assert cv2.imread('out/pictures/a.jpg').shape[0] <= 6 * HEIGHT
    assert list(record['networks']) == ['pose', 'segmentation', 'detection']
    assert {task: overlay['images'][0][task] for task in ('segmentation', 'detection')} == {
        task: entry[task] for task in ('segmentation', 'detection')
    }
    _, with_detector = look('photos/a.jpg', network('pose'), detector=network('detection'))
    assert entry['pose'] == with_detector['images'][0]['pose'], 'pose looks at the people that are detected'
    assert len(entry['pose']['people']) > 1


def test_boxes_of_a_file_and_names_of_the_config(network: Networks, place: Path) -> None:
    """A checkpoint that does not know what its data set calls things leaves that to the config."""
    boxes = {
        'a.jpg': [[10, 5, 60, 90], [80, 5, 140, 90, 0.5]],
        'north/a.jpg': [],
        'south/b.png': [[0, 0, 9, 9]],
    }
    Path('boxes.json').write_text(json.dumps({**boxes, 'north/tall.jpg': [[0, 0, 96, 160]]}))
    _, record = look('photos', network('pose'), boxes='boxes.json')
    people = {entry['image']: entry['pose']['people'] for entry in record['images']}
    assert [len(people[name]) for name in PHOTOS] == [2, 0, 1, 1]
    assert [person['box'] for person in people['a.jpg']] == [[10, 5, 60, 90], [80, 5, 140, 90]]
    assert [person['score'] for person in people['a.jpg']] == [1.0, 0.5]
    for task, names in (('segmentation', ['background', 'person']), ('detection', ['person'])):
        torch.save({'state_dict': load_file(network(task).checkpoint)['state_dict']}, 'nameless.pth')
        assert list(Network(network(task).config, 'nameless.pth').metadata.names) == names
