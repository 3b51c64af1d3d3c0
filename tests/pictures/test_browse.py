"""Planted annotations, real configs on data whose pictures say where everything is, the whole command."""

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
from mmengine.runner import set_random_seed
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from pixels import BLUE, GREEN, GREY, RED, extent, flat, is_colour
from refusal import refuses
from tool_runs import in_process

import hrnet_mm  # noqa: F401  registers everything, as the tools do
from hrnet_mm.config.load import load_config
from hrnet_mm.pictures.browse import Dropped, Sample, SampleSource, browse_samples, describe, draw_sample
from hrnet_mm.pictures.canvas import enlargement
from hrnet_mm.pictures.metadata import Metadata, distinct_colours
from hrnet_mm.pictures.predictions import TruthReader

ROOT = Path(__file__).resolve().parents[2]

WIDTH, HEIGHT = 400, 300
#: Left, top, width, height.
PERSON = (120, 60, 110, 200)
#: Of the config for masks; boxes have the first of the made colours, since COCO's are of other classes.
PERSON_COLOUR = (220, 20, 60)
PICKED = distinct_colours(1)[0]
#: Keypoints that show, far enough from each other: number -> x, y.
PLANTED = {0: (175, 75), 5: (205, 110), 6: (145, 110), 15: (205, 245), 16: (145, 245)}


def write_own(root: Path) -> Path:
    """As the `own` configs want it: a green person on grey, its keypoints yellow blobs."""
    image = flat(GREY, size=(HEIGHT, WIDTH))
    left, top, width, height = PERSON
    image[top : top + height, left : left + width] = (0, 120, 0)
    for x, y in PLANTED.values():
        cv2.circle(image, (x, y), 7, (255, 255, 0), -1)
    masks = np.zeros((HEIGHT, WIDTH), np.uint8)
    masks[top : top + height, left : left + width] = 1
    masks[:30] = 255
    points = np.zeros((17, 3), int)
    for number, place in PLANTED.items():
        points[number] = (*place, 2)
    names = ['a.jpg', 'b.jpg', 'c.jpg']
    person = {'category_id': 1, 'bbox': PERSON, 'area': width * height, 'iscrowd': 0, 'num_keypoints': 5}
    record = {
        'images': [{'id': i, 'file_name': n, 'width': WIDTH, 'height': HEIGHT} for i, n in enumerate(names)],
        'annotations': [
            {**person, 'id': i + 1, 'image_id': i, 'keypoints': points.ravel().tolist()} for i in range(3)
        ],
        'categories': [{'id': 1, 'name': 'person'}],
    }
    (root / 'masks').mkdir(parents=True)
    (root / 'person_keypoints.json').write_text(json.dumps(record))
    for name in names:
        assert cv2.imwrite(str(root / name), image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 100))
        assert cv2.imwrite(str(root / 'masks' / name.replace('jpg', 'png')), masks)
    return root


@pytest.fixture(scope='module')
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own(tmp_path_factory.mktemp('own') / 'data')


def read(name: str, data_root: Path, **options: Any) -> Config:
    return load_config(ROOT / 'configs' / name, data_root=data_root, options=options)


def drawn(sample: Sample, metadata: Metadata) -> np.ndarray:
    """The sample's picture without its caption."""
    height, width = (edge * enlargement(sample.image) for edge in sample.image.shape[:2])
    return draw_sample(sample, metadata)[-height:, :width]


def browsed(cfg: Config, split: str = 'train') -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The first sample's image, its picture, and what its caption says."""
    source = SampleSource(cfg, split=split)
    sample = source.load(0)
    return sample.image, drawn(sample, source.metadata), describe(sample, source.metadata)


# planted annotations

LOOK = Metadata(names=('cat', 'dog'), colours=(RED, BLUE))


def planted(annotation: BaseDataElement, *, size: tuple[int, int] = (256, 300), ignored: int = 255) -> Sample:
    truths = TruthReader(SimpleNamespace(ignore_index=ignored)).on_input(annotation)
    return Sample(image=flat(size=size), truths=truths)


def detection(boxes: Any, labels: Any, **more: Any) -> BaseDataElement:
    instances = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels), **more)
    return BaseDataElement(gt_instances=instances)


def test_boxes_are_counted_and_drawn_without_a_score() -> None:
    sample = planted(detection([(20.0, 60.0, 90.0, 140.0), (130.0, 60.0, 220.0, 180.0)], [1, 0]))
    assert describe(sample, LOOK) == ['boxes: 1 dog, 1 cat']
    image = drawn(sample, LOOK)
    assert (image[140, 55] == BLUE).all() and (image[180, 175] == RED).all()
    small = drawn(planted(detection([(10.0, 8.0, 30.0, 28.0)], [0]), size=(32, 40)), LOOK)
    assert small.shape == (256, 320, 3) and (small[150, 240] == RED).all() and (small[224, 160] == RED).all()


def test_broken_boxes_crowds_and_nothing_are_told() -> None:
    outside = [(10.0, 10.0, 10.0, 50.0), (310.0, 10.0, 400.0, 50.0), (-1e9, 5.0, 1e9, float('nan'))]
    sample = planted(detection(outside, [0, 0, 7]))
    assert describe(sample, LOOK) == ['boxes: 2 cat, 1 7: NO CLASS', '3 EMPTY OR OUTSIDE']
    drawn(sample, LOOK)
    nothing = detection([], [])
    nothing.ignored_instances = InstanceData(bboxes=torch.tensor([[50.0, 50.0, 150.0, 150.0]]))
    assert describe(planted(nothing), LOOK) == ['boxes: 0']
    assert (drawn(planted(nothing), LOOK)[150, 100] == (150, 150, 150)).all()
    assert describe(planted(BaseDataElement()), LOOK) == ['no annotation']


@pytest.mark.parametrize(('ignored', 'known'), [(255, 2), (1, 1)])
def test_the_ignored_value_is_the_data_sets(ignored: int, known: int) -> None:
    labels = np.repeat([[0, 1, 9, 255]], 256, axis=0).repeat(64, axis=1)
    annotation = BaseDataElement(gt_sem_seg=PixelData(data=torch.from_numpy(labels)[None]))
    sample = planted(annotation, size=(256, 256), ignored=ignored)
    assert describe(sample, LOOK) == [f'{known} of 2 classes']
    image = drawn(sample, LOOK)
    for value, column in zip((0, 1, 9, 255), (20, 84, 148, 212), strict=True):
        black = is_colour(image[:, column : column + 30, :], np.asarray(GREY) / 2, 2)
        assert (0.4 < black.mean() < 0.6) == (value == ignored)


def test_keypoints_links_and_targets() -> None:
    look = Metadata(('a', 'b', 'c'), (RED, GREEN, BLUE), ((0, 1), (1, 2)), ((255, 0, 255), (0, 255, 255)))
    points = np.array([[[40.0, 50.0], [200.0, 50.0], [120.0, 150.0]]], np.float32)
    people = InstanceData(keypoints=points, keypoints_visible=np.array([[1.0, 1.0, 0.0]]))
    maps = np.zeros((3, 64, 75), np.float32)
    maps[0, 30, 40] = 1.0
    sample = planted(BaseDataElement(gt_instances=people))._replace(heatmaps=maps)
    image = drawn(sample, look)
    assert (image[50, 40] == RED).all() and (image[50, 200] == GREEN).all()
    assert (image[50, 120] == (255, 0, 255)).all()
    assert not is_colour(image, BLUE).any(), 'the third is not annotated'
    assert not is_colour(image, (0, 255, 255)).any(), 'nor its link'
    changed = (image != GREY).any(axis=-1)
    changed[40:60] = False
    left, top, right, bottom = extent(changed)
    assert (left + right) / 2 == pytest.approx(4 * 40.5, abs=1), 'the glow is where the target is'
    assert (top + bottom) / 2 == pytest.approx(4 * 30.5, abs=1)
    assert describe(sample, look) == [
        'heatmaps with a target: 1',
        'people: 1, keypoints in the picture: 2 of 2',
    ]


# data of one's own

DETECTION = 'hrnetv2p_w18_small_v1_faster_rcnn_own_coco.py'
SEGMENTATION = 'hrnetv2_w18_small_v1_own_masks.py'
POSE = 'hrnetv1_w18_small_v1_own_coco.py'


@pytest.mark.parametrize('flip', [False, True])
def test_detection_of_own_data(flip: bool, own: Path) -> None:
    cfg = read(DETECTION, own)
    cfg.train_dataloader.dataset.pipeline.insert(3, {'type': 'RandomFlip', 'prob': float(flip)})
    image, picture, notes = browsed(cfg)
    assert image.shape == (384, 512, 3) and is_colour(image[5, 5], GREY, 3), 'no longer normalised'
    person = extent(is_colour(image, (0, 120, 0)) | is_colour(image, (255, 255, 0), 90))
    left, right = (512 - 1.28 * 230, 512 - 1.28 * 120) if flip else (1.28 * 120, 1.28 * 230)
    assert person == pytest.approx([left, 1.28 * 60, right, 1.28 * 260], abs=2)
    left, _, right, bottom = extent(is_colour(picture, PICKED, 2))
    assert (left, right, bottom) == pytest.approx((person[0], person[2], person[3]), abs=4)
    assert notes == ['boxes: 1 person']


@pytest.mark.parametrize('split', ['train', 'val'])
def test_segmentation_of_own_data(split: str, own: Path) -> None:
    """In the validation split the label map is loaded after the resize; drawn, it lies on the image."""
    image, picture, _ = browsed(read(SEGMENTATION, own), split)
    assert image.shape == (384, 512, 3)
    person = extent(is_colour(image, (0, 120, 0)) | is_colour(image, (255, 255, 0), 90))
    covered = is_colour(picture, np.mean([(0, 120, 0), PERSON_COLOUR], axis=0), 25)
    assert extent(covered) == pytest.approx(person, abs=2)
    assert is_colour(picture[300:, :100], GREY, 4).all(), 'the background is seen as it is'
    ignored = is_colour(picture[:36], (GREY[0] / 2 + 127.5,) * 3, 6)
    assert ignored.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pose_of_own_data(split: str, own: Path) -> None:
    """Dots cover the blobs' middles in the crop, in mmpose's colours; targets glow around in training."""
    image, picture, notes = browsed(read(POSE, own), split)
    assert (image.shape, picture.shape) == ((256, 192, 3), (512, 384, 3))
    nose, *others = middles_of_blobs(image)
    for x, y in (nose, *others):
        # mmpose's colours of the face, and of the person's left and right, which is ours turned round
        side = (0, 255, 0) if x > nose[0] else (255, 128, 0)
        assert tuple(picture[2 * y, 2 * x].tolist()) == ((51, 153, 255) if [x, y] == nose else side)
        beside = picture[2 * y - 26, 2 * x].astype(int) - image[y - 13, x]
        assert bool(beside[0] > 10) == (split == 'train')
    assert notes[-1] == 'people: 1, keypoints in the picture: 5 of 5'
    assert (notes[0] == 'heatmaps with a target: 5') == (split == 'train')


def test_keypoints_turn_with_the_image(own: Path) -> None:
    cfg = read(POSE, own)
    turn = {'type': 'RandomBBoxTransform', 'rotate_prob': 1.0, 'shift_prob': 0.0, 'scale_factor': (1.4, 1.4)}
    cfg.train_dataloader.dataset.pipeline.insert(2, turn)
    set_random_seed(0)
    image, picture, _ = browsed(cfg)
    for x, y in middles_of_blobs(image):
        assert tuple(picture[2 * y, 2 * x].tolist()) in {(51, 153, 255), (0, 255, 0), (255, 128, 0)}


def middles_of_blobs(image: np.ndarray) -> list[list[int]]:
    blobs = is_colour(image, (255, 255, 0), 90).astype(np.uint8)
    count, _, _, middles = cv2.connectedComponentsWithStats(blobs)
    assert count - 1 == len(PLANTED)
    places: list[list[int]] = np.round(middles[1:]).astype(int).tolist()
    return sorted(places, key=lambda place: place[1])


def test_classification_of_folders(tmp_path: Path) -> None:
    """The label is in words, and what was red in the file is red again."""
    for split in ('train', 'val'):
        for name, colour in (('cat', (200, 30, 10)), ('dog', (10, 30, 200))):
            (tmp_path / split / name).mkdir(parents=True)
            assert cv2.imwrite(
                str(tmp_path / split / name / 'one.png'), flat(colour, size=(260, 300))[..., ::-1]
            )
    source = SampleSource(read('hrnet_w18_small_v1_folder.py', tmp_path), split='train')
    for index, (name, colour) in enumerate((('cat', (200, 30, 10)), ('dog', (10, 30, 200)))):
        sample = source.load(index)
        assert describe(sample, source.metadata) == [f'label: {name}']
        assert is_colour(drawn(sample, source.metadata), colour, 2).all()


# the whole command


def test_the_command(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ROOT / 'configs' / DETECTION
    arguments = (config, '--data-root', own, '--count', 2)
    assert in_process('browse_data.py', *arguments, monkeypatch=monkeypatch) == 0
    folder = Path('work_dirs') / Path(DETECTION).stem / 'samples/train'
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        '2 of 2 samples drawn, 3 in the split',
        f'contact sheet: {folder / "contact_sheet.png"}',
    ]
    assert sorted(p.name for p in folder.iterdir()) == ['000000_a.png', '000001_b.png', 'contact_sheet.png']
    single, sheet = (
        cv2.imread(str(folder / name))[..., ::-1] for name in ('000000_a.png', 'contact_sheet.png')
    )
    _, full, _ = browsed(read(DETECTION, own))
    assert single.shape[1] == 512 and (single[-384:] == full).all() and (single[:-384] < 100).any()
    assert sheet.shape[1] == 2 * 320 + 8 and is_colour(sheet, PICKED, 2).any()


def test_a_broken_file_is_told_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_own(tmp_path / 'data')
    (root / 'masks/b.png').write_bytes(b'not an image')
    out = tmp_path / 'out'
    arguments = (ROOT / 'configs' / SEGMENTATION, '--data-root', root, '--out-dir', out)
    assert in_process('browse_data.py', *arguments, monkeypatch=monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    (failed,) = [line for line in lines if line.startswith('failed')]
    assert failed.startswith('failed sample 1 (') and str(root / 'masks/b.png') in failed
    assert lines[-2] == '2 of 3 samples drawn, 3 in the split, 1 FAILED'
    assert sorted(p.name for p in out.iterdir()) == ['000000_a.png', '000002_c.png', 'contact_sheet.png']


def test_samples_that_the_pipeline_drops_are_told(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A data set would silently give another sample in their place."""
    cfg = read(DETECTION, own)
    strict = {'type': 'FilterAnnotations', 'min_gt_bbox_wh': (1000, 1000), 'keep_empty': True}
    cfg.train_dataloader.dataset.pipeline.insert(-1, strict)
    with pytest.raises(Dropped):
        SampleSource(cfg, split='train').load(0)
    report = browse_samples(cfg, out_dir=tmp_path, progress=False)
    assert (report.sheet, report.pictures, report.failures) == (None, [], [])
    assert len(report.dropped) == 3 and '\n'.join(report.dropped) in capsys.readouterr().out
    assert report.summary() == '0 of 3 samples drawn, 3 in the split, 3 dropped by the pipeline'


def test_wrapped_data_sets_and_the_same_seed_for_the_same_pictures(own: Path, tmp_path: Path) -> None:
    """Repeated and joined, with the files of the innermost named."""
    cfg = read(DETECTION, own)
    inner = cfg.train_dataloader.dataset.to_dict()
    cfg.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [{'type': 'RepeatDataset', 'times': 2, 'dataset': inner}, inner],
    }
    source = SampleSource(cfg, split='train')
    assert [Path(source.files(i)[0]).name for i in range(len(source))] == ['a.jpg', 'b.jpg', 'c.jpg'] * 3
    cfg.train_dataloader.dataset.datasets[1].pipeline.insert(3, {'type': 'PhotoMetricDistortion'})
    sheets = []
    for number, seed in enumerate((0, 0, 3)):
        report = browse_samples(cfg, count=3, out_dir=tmp_path / str(number), seed=seed, progress=False)
        assert len(report.pictures) == 3 and report.sheet is not None
        sheets.append(report.sheet.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_mistakes_are_one_line(own: Path, tmp_path: Path) -> None:
    cfg = read(DETECTION, own)
    refuses(lambda: browse_samples(cfg, count=0), '--count = 0: expected at least 1')
    refuses(lambda: browse_samples(cfg, split='test'), "--split = 'test': ")
    (tmp_path / 'file').write_text('')
    refuses(lambda: browse_samples(cfg, out_dir=tmp_path / 'file'), "--out-dir = '")
    refuses(lambda: SampleSource(read(DETECTION, tmp_path / 'gone'), split='train'), 'looked for ')
    broken = read(DETECTION, own)
    broken.train_dataloader.dataset.pipeline.insert(0, {'type': 'NoSuchTransform'})
    refuses(lambda: SampleSource(broken, split='train'), 'NoSuchTransform')
    broken.train_dataloader = None
    refuses(lambda: SampleSource(broken, split='train'), 'train_dataloader = None')
    broken = read(DETECTION, own)
    broken.model.data_preprocessor.mean = [1.0, 2.0]
    refuses(lambda: SampleSource(broken, split='train'), 'model.data_preprocessor = ')
    bad = tmp_path / 'bad'
    write_own(bad)
    (bad / 'person_keypoints.json').write_text('{"images": [')
    refuses(lambda: SampleSource(read(DETECTION, bad), split='train'), 'expected a data set that can be read')
    cfg.val_dataloader.dataset.ann_file = 'gone.json'  # of another split: it need not be there
    assert len(SampleSource(cfg, split='train')) == 3
    refuses(lambda: SampleSource(cfg, split='val'), 'gone.json')
