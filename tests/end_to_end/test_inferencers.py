"""The packages' inferencers with our configs and checkpoints, as docs/inferencers.md shows them.

The page's blocks run in one fresh process, as in a notebook: there a scope is left behind by each inferencer,
and `hrnet_mm` is imported by the configs alone. What comes out is compared with the models by themselves.
"""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from peers import scopes_as_before
from torch import Tensor, nn

from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.load import load_config
from hrnet_mm.data import write_coco_masks
from hrnet_mm.demo.dataset import generate
from hrnet_mm.training.run import run_train

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.nightly


@dataclass(frozen=True)
class Trained:
    """A network that the page uses.

    Attributes:
        config: Its config, in ``configs/``.
        checkpoint: The file that the page loads.
        options: What makes its training a single step.
        trained_with: A config that trains it on other data.
    """

    config: str
    checkpoint: str
    options: Mapping[str, Any] = field(default_factory=dict)
    trained_with: str = ''

    @property
    def weights(self) -> str:
        return f'work_dirs/{self.config}/{self.checkpoint}'


DETECTOR = Trained('hrnetv2p_w18_small_v1_faster_rcnn_own_coco', 'epoch_70.pth')
SEGMENTOR = Trained('hrnetv2_w18_small_v1_own_masks', 'iter_70.pth', {'train_dataloader.batch_size': 2})
CLASSIFIER = Trained('hrnet_w18_small_v1_cifar10', 'epoch_200.pth', trained_with='cifar10_folder.py')
POSE = Trained('hrnetv1_w18_small_v1_own_coco', 'epoch_40.pth')
CROWD = Trained(
    'hrnetv1_w32_ae_coco_512x512',
    'epoch_300.pth',
    {
        'model.backbone.init_cfg': None,
        'train_dataloader.batch_size': 2,
        'train_dataloader.dataset.pipeline.1.input_size': (128, 128),
        'train_dataloader.dataset.pipeline.3.encoder.input_size': (128, 128),
        'train_dataloader.dataset.pipeline.3.encoder.heatmap_size': (32, 32),
    },
)
ALL = (DETECTOR, SEGMENTOR, CLASSIFIER, POSE, CROWD)

_ONE_STEP: Mapping[str, Any] = {
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader': None,
    'val_evaluator': None,
    'val_cfg': None,
    'default_hooks.checkpoint.interval': 1,
    'default_hooks.checkpoint.save_best': None,
}
_LENGTH = {True: 'train_cfg.max_epochs', False: 'train_cfg.max_iters'}

_FOLDER_CONFIG = """
_base_ = 'configs/hrnet_w18_small_v1_cifar10.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/folder',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
)
"""
_CLASSES = ('bus', 'cat', 'elk', 'fox', 'jay', 'owl', 'pig', 'ram', 'van', 'yak')

# What the page leaves behind in its variables, beside the lists and numbers that it printed.
_AFTER_THE_PAGE = """
import pickle
from hrnet_mm.deploy import FusedHRNet
models = (detector.model, fast_detector.model, pose.inferencer.model, fast_pose.inferencer.model)
is_fast = [isinstance(model.backbone, FusedHRNet) for model in models]
names = (
    'found', 'label_map', 'best', 'people', 'everybody', 'found_again', 'found_fast', 'people_fast', 'is_fast'
)
pickle.dump({name: globals()[name] for name in names}, open('results.pkl', 'wb'))
"""


# --- What the page needs ---------------------------------------------------------------------------


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder of this module: configs, data, a picture, and checkpoints where the page looks."""
    folder = tmp_path_factory.mktemp('project')
    with pytest.MonkeyPatch.context() as patch, scopes_as_before():
        patch.chdir(folder)
        Path('configs').symlink_to(ROOT / 'configs')
        _write_data()
        for network in ALL:
            _train(network)
        # After one step a network finds nothing yet: these make it see people, boxes and two classes.
        _raise(DETECTOR, 'roi_head.bbox_head.fc_cls.bias', slice(0, 1), 3.0)
        _raise(CROWD, 'head.final_layer.bias', slice(0, 17), 0.3)
        logits = labelled().seg_logits.data
        _raise(SEGMENTOR, 'decode_head.conv_seg.bias', slice(1, 2), float((logits[0] - logits[1]).median()))
        yield folder


def _write_data() -> None:
    generate(Path('data'), train=2, val=2, seed=3, progress=False)
    shutil.copytree('data/coco/val2017', 'data/own')
    shutil.copy('data/coco/annotations/person_keypoints_val2017.json', 'data/own/person_keypoints.json')
    write_coco_masks('data/own/person_keypoints.json', 'data/own/masks', categories=['person'])
    shutil.copy(next(Path('data/own').glob('*.jpg')), 'picture.jpg')
    Path('cifar10_folder.py').write_text(_FOLDER_CONFIG)
    rng = np.random.default_rng(0)
    for label in _CLASSES:
        Path('data/folder', label).mkdir(parents=True)
        cv2.imwrite(f'data/folder/{label}/a.png', rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))


def _train(network: Trained) -> None:
    """One step from random weights, saved by MMEngine's runner with all that it saves."""
    file = network.trained_with or f'configs/{network.config}.py'
    by_epoch = 'max_epochs' in Config.fromfile(file).train_cfg
    options = {**_ONE_STEP, **network.options, _LENGTH[by_epoch]: 1}
    last = run_train(load_config(file, options=options, work_dir=Path(network.weights).parent))
    last.rename(network.weights)


def _raise(network: Trained, name: str, where: slice, by: float) -> None:
    content = load_file(network.weights)
    content['state_dict'][name][where] += by
    torch.save(content, network.weights)


@pytest.fixture(scope='module')
def page(place: Path) -> dict[str, Any]:
    """What the page's variables hold after its blocks ran."""
    text = (ROOT / 'docs' / 'inferencers.md').read_text(encoding='utf-8')
    blocks = re.findall(r'^```python\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL)
    Path('page.py').write_text('\n'.join([*blocks, _AFTER_THE_PAGE]), encoding='utf-8')
    result = subprocess.run(
        [sys.executable, 'page.py'],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    assert 'not match' not in result.stdout + result.stderr  # as MMEngine says of weights that don't fit
    with open('results.pkl', 'rb') as file:
        return dict(pickle.load(file))


# --- The models by themselves ----------------------------------------------------------------------


def build(network: Trained, *, backbone_scope: str | None = None) -> nn.Module:
    """The model of a config, with every weight of the checkpoint in place.

    Args:
        backbone_scope: a scope to build the backbone in, instead of that of the config.
    """
    cfg = Config.fromfile(f'configs/{network.config}.py')
    if 'data_preprocessor' in cfg:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    if backbone_scope is not None:
        cfg.model.backbone._scope_ = backbone_scope
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    model.load_state_dict(load_file(network.weights)['state_dict'], strict=True)
    return model.eval()


def picture(size: tuple[int, int] | None = None) -> Tensor:
    """The picture as (3, height, width), blue first, resized to (width, height)."""
    image = cv2.imread('picture.jpg')
    if size is not None:
        image = cv2.resize(image, size)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


@torch.no_grad()
def step(network: Trained, sample: type, size: tuple[int, int], *, scope: str | None = None) -> Any:
    """A model's own prediction for the picture of 320x192 pixels, resized to (width, height)."""
    shape = size[::-1]
    metainfo = {'ori_shape': (192, 320), 'img_shape': shape, 'pad_shape': shape}
    metainfo['scale_factor'] = (size[0] / 320, size[1] / 192)
    batch = {'inputs': [picture(size)], 'data_samples': [sample(metainfo=metainfo)]}
    return build(network, backbone_scope=scope).test_step(batch)[0]


def found_boxes(*, backbone_scope: str | None = None) -> Any:
    from mmdet.structures import DetDataSample

    return step(DETECTOR, DetDataSample, (512, 307), scope=backbone_scope).pred_instances.numpy()


def labelled() -> Any:
    from mmseg.structures import SegDataSample

    return step(SEGMENTOR, SegDataSample, (512, 384))


@torch.no_grad()
def found_people(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pose network's own prediction for some boxes: keypoints (n, 17, 2) and scores (n, 17)."""
    inputs = [pose_input(POSE, bbox=box[None, :4], bbox_score=np.ones(1)) for box in boxes]
    instances = [sample.pred_instances for sample in build(POSE).test_step(pseudo_collate(inputs))]
    keypoints, scores = ([each[name] for each in instances] for name in ('keypoints', 'keypoint_scores'))
    return np.concatenate(keypoints), np.concatenate(scores)


def pose_input(network: Trained, **more: Any) -> dict[str, Any]:
    cfg = Config.fromfile(f'configs/{network.config}.py')
    with DefaultScope.overwrite_default_scope('mmpose'):
        pipeline = Compose(cfg.test_dataloader.dataset.pipeline)
    metainfo = load_file(network.weights)['meta']['dataset_meta']
    return dict(pipeline({'img_path': 'picture.jpg', **metainfo, **more}))


# --- The page --------------------------------------------------------------------------------------


def test_boxes_from_config_and_checkpoint_and_from_the_checkpoint_alone(page: dict[str, Any]) -> None:
    expected = found_boxes()
    assert len(expected) == len(page['found']['bboxes']) > 10
    np.testing.assert_allclose(page['found']['bboxes'], expected.bboxes, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(page['found']['scores'], expected.scores, rtol=1e-4)
    assert page['found']['labels'] == expected.labels.tolist()
    assert page['found_again'] == page['found']


def test_the_inference_form_finds_the_same(page: dict[str, Any]) -> None:
    """After one step scores lie so close together that roundings change their order, and some choices."""
    assert page['is_fast'] == [False, True, False, True]
    fast, slow = page['found_fast'], page['found']
    np.testing.assert_allclose(sorted(fast['scores']), sorted(slow['scores']), rtol=1e-3)
    distances = np.abs(np.array(fast['bboxes'])[:, None] - np.array(slow['bboxes'])[None]).max(axis=2)
    assert np.mean(distances.min(axis=1) < 0.1) > 0.9
    scores = [[p['keypoint_scores'] for p in people] for people in (page['people_fast'], page['people'])]
    np.testing.assert_allclose(*scores, rtol=1e-2, atol=1e-4)


@torch.no_grad()
def test_label_map_and_class(page: dict[str, Any]) -> None:
    expected = labelled().pred_sem_seg.data[0].numpy()
    assert 0.25 < expected.mean() < 0.75
    np.testing.assert_array_equal(page['label_map'], expected)
    (sample,) = build(CLASSIFIER).test_step({'inputs': [picture()]})
    np.testing.assert_allclose(page['best']['pred_scores'], sample.pred_score.numpy(), rtol=1e-4)
    assert page['best']['pred_class'] == _CLASSES[int(sample.pred_score.argmax())]


def test_people_in_the_boxes_of_the_detector(page: dict[str, Any]) -> None:
    from mmpose.evaluation.functional import nms

    boxes = found_boxes()
    people = np.hstack([boxes.bboxes, boxes.scores[:, None]])[(boxes.labels == 0) & (boxes.scores > 0.3)]
    people = people[nms(people, 0.3)]
    assert len(page['people']) == len(people) > 1
    assert_same_people(page['people'], *found_people(people))


def assert_same_people(found: list[dict[str, Any]], keypoints: np.ndarray, scores: np.ndarray) -> None:
    np.testing.assert_allclose([p['keypoints'] for p in found], keypoints, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose([p['keypoint_scores'] for p in found], scores, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_everybody_at_once(page: dict[str, Any]) -> None:
    (sample,) = build(CROWD).test_step(pseudo_collate([pose_input(CROWD)]))
    expected = sample.pred_instances.keypoints
    assert len(page['everybody']) == len(expected) > 0
    keypoints = [p['keypoints'] for p in page['everybody']]
    np.testing.assert_allclose(keypoints, expected, rtol=1e-4, atol=1e-2)


def test_predictions_are_drawn(page: dict[str, Any]) -> None:
    places = ('boxes/vis/picture.jpg', 'labels/vis/picture.jpg', 'classes/picture.png')
    for drawn in (*places, 'crowd/visualizations/picture.jpg'):
        assert differ(f'predictions/{drawn}', 'picture.jpg'), drawn


def differ(one: str, other: str) -> bool:
    """Whether something is drawn on a picture, beyond what saving it again as JPEG changes."""
    first, second = (cv2.imread(path).astype(int) for path in (one, other))
    return first.shape != second.shape or np.abs(first - second).max() > 100


# --- Besides the page ------------------------------------------------------------------------------


def test_whole_image_as_one_person_after_another_codebase(place: Path) -> None:
    """The scope that others left behind is mmseg's, whose HRNet has other defaults than mmpose's."""
    from mmpose.apis import MMPoseInferencer

    init_default_scope('mmseg')
    cfg = Config.fromfile(f'configs/{POSE.config}.py')
    cfg.visualizer.backend = 'matplotlib'
    pose = MMPoseInferencer(cfg, POSE.weights, det_model='whole_image')
    results = next(pose('picture.jpg', vis_out_dir='whole', kpt_thr=-1.0))
    ((person,),) = results['predictions']
    assert differ('whole/picture.jpg', 'picture.jpg')
    assert_same_people([person], *found_people(np.array([[0, 0, 320, 192, 1]], np.float32)))


def test_a_scope_of_another_codebase_would_show(place: Path) -> None:
    """Otherwise the comparisons above would prove nothing about scopes: mmseg's fusion is bilinear."""
    ours, theirs = found_boxes(), found_boxes(backbone_scope='mmseg')
    assert len(ours) != len(theirs) or np.abs(ours.bboxes - theirs.bboxes).max() > 1
