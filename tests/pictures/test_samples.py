"""Real configs on data whose pictures say themselves where everything is; then the whole command."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from pixels import GREY, extent, flat, is_colour, refused

import hrnet_mm  # noqa: F401  registers everything, as the tools do
from hrnet_mm.config.load import load_config
from hrnet_mm.demo.dataset import generate
from hrnet_mm.pictures.sample_drawing import Canvas, draw_annotation
from hrnet_mm.pictures.sample_look import Look
from hrnet_mm.pictures.sample_source import Dropped, Sample, SampleSource
from hrnet_mm.pictures.sample_text import LINE_HEIGHT
from hrnet_mm.pictures.samples import browse_samples

ROOT = Path(__file__).resolve().parents[2]

WIDTH, HEIGHT = 400, 300
#: Left, top, width, height.
PERSON = (120, 60, 110, 200)
#: The first of COCO's palette, and that of the config for masks.
PERSON_COLOUR = (220, 20, 60)
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


def drawn(cfg: Config, index: int = 0, split: str = 'train') -> tuple[Sample, Canvas]:
    source = SampleSource(cfg, split=split)
    sample = source.load(index)
    look = Look.of(source.metainfo, ignore_index=source.ignore_index)
    return sample, draw_annotation(sample.image, sample.annotation, look)


DETECTION = 'hrnetv2p_w18_small_v1_faster_rcnn_own_coco.py'
SEGMENTATION = 'hrnetv2_w18_small_v1_own_masks.py'
POSE = 'hrnetv1_w18_small_v1_own_coco.py'


def test_detection_of_own_data(own: Path) -> None:
    sample, canvas = drawn(read(DETECTION, own))
    assert sample.image.shape == (384, 512, 3)
    planted = extent(is_colour(sample.image, (0, 120, 0)) | is_colour(sample.image, (255, 255, 0), 90))
    assert planted == pytest.approx([1.28 * v for v in (120, 60, 230, 260)], abs=2)
    assert is_colour(sample.image[5, 5], GREY, 3), 'no longer normalised'
    left, _, right, bottom = extent(is_colour(canvas.pixels, PERSON_COLOUR, 2))
    assert (left, right, bottom) == pytest.approx((planted[0], planted[2], planted[3]), abs=4)
    assert canvas.notes == ['1 box: 1 person']


@pytest.mark.parametrize('split', ['train', 'val'])
def test_segmentation_of_own_data(split: str, own: Path) -> None:
    """In the validation split the label map is loaded after the resize; drawn, it lies on the image."""
    sample, canvas = drawn(read(SEGMENTATION, own), split=split)
    assert sample.image.shape == (384, 512, 3)
    planted = extent(is_colour(sample.image, (0, 120, 0)) | is_colour(sample.image, (255, 255, 0), 90))
    covered = is_colour(canvas.pixels, np.mean([(0, 120, 0), PERSON_COLOUR], axis=0), 25)
    assert extent(covered) == pytest.approx(planted, abs=2)
    assert is_colour(canvas.pixels[300:, :100], (np.asarray(GREY) + 60) / 2, 4).all(), 'background'
    ignored = canvas.pixels[:36]
    assert is_colour(ignored, (GREY[0] / 2 + 127.5,) * 3, 6).mean() == pytest.approx(0.5, abs=0.05)
    assert [swatch.text.rpartition(' ')[0] for swatch in canvas.legend] == ['background', 'person', 'ignored']


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pose_of_own_data(split: str, own: Path) -> None:
    """Dots cover the blobs' middles in the crop, in mmpose's colours; targets glow around in training."""
    sample, canvas = drawn(read(POSE, own), split=split)
    assert (sample.image.shape, canvas.scale) == ((256, 192, 3), 1)
    blobs = is_colour(sample.image, (255, 255, 0), 90).astype(np.uint8)
    count, _, _, middles = cv2.connectedComponentsWithStats(blobs)
    assert count - 1 == len(PLANTED)
    nose, *others = sorted(np.round(middles[1:]).astype(int).tolist(), key=lambda place: place[1])
    for x, y in (nose, *others):
        # mmpose's colours of the face, and of the person's left and right, which is ours turned round
        side = (0, 255, 0) if x > nose[0] else (255, 128, 0)
        assert tuple(canvas.pixels[y, x].tolist()) == ((51, 153, 255) if [x, y] == nose else side)
        beside = canvas.pixels[y - 12, x].astype(int) - sample.image[y - 12, x]
        assert bool(beside[0] > 10) == (split == 'train')
    assert canvas.notes[-1] == '1 person, 5 of 5 keypoints in the picture'
    assert (canvas.notes[0] == '5 heatmaps with a target') == (split == 'train')


def test_keypoints_turn_with_the_image(own: Path) -> None:
    cfg = read(POSE, own)
    turn = {'type': 'RandomBBoxTransform', 'rotate_prob': 1.0, 'shift_prob': 0.0, 'scale_factor': (1.4, 1.4)}
    cfg.train_dataloader.dataset.pipeline.insert(2, turn)
    for seed in range(4):
        set_random_seed(seed)
        sample, canvas = drawn(cfg)
        blobs = is_colour(sample.image, (255, 255, 0), 90).astype(np.uint8)
        count, _, _, middles = cv2.connectedComponentsWithStats(blobs)
        assert count - 1 == len(PLANTED)
        for x, y in np.round(middles[1:]).astype(int):
            assert tuple(canvas.pixels[y, x].tolist()) in {(51, 153, 255), (0, 255, 0), (255, 128, 0)}


def test_classification_of_folders(tmp_path: Path) -> None:
    """The label is in words, and what was red in the file is red again."""
    for split in ('train', 'val'):
        for name, colour in (('cat', (200, 30, 10)), ('dog', (10, 30, 200))):
            (tmp_path / split / name).mkdir(parents=True)
            assert cv2.imwrite(
                str(tmp_path / split / name / 'one.png'), flat(colour, size=(260, 300))[..., ::-1]
            )
    source = SampleSource(read('hrnet_w18_small_v1_folder.py', tmp_path), split='train')
    found = {}
    for index in range(len(source)):
        sample = source.load(index)
        canvas = draw_annotation(sample.image, sample.annotation, Look.of(source.metainfo))
        found[canvas.notes[0]] = canvas.pixels
    assert found.keys() == {'label: cat', 'label: dog'}
    assert is_colour(found['label: cat'], (200, 30, 10), 2).all()
    assert is_colour(found['label: dog'], (10, 30, 200), 2).all()


# the drawn scenes


@pytest.fixture(scope='module')
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('scenes') / 'data'
    generate(root, train=4, val=2, progress=False)
    return root


def test_boxes_of_drawn_scenes_follow_the_flip(scenes: Path) -> None:
    cfg = read('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py', scenes / 'coco')
    truth = json.loads((scenes / 'coco/annotations/instances_train2017.json').read_text())
    source = SampleSource(cfg, split='train')
    look = Look.of(source.metainfo)
    flips = set()
    for index in [*range(len(source))] * 4:
        sample = source.load(index)
        flips.add(sample.annotation.flip)
        canvas = draw_annotation(flat(size=sample.image.shape[:2]), sample.annotation, look)
        for one in (a for a in truth['annotations'] if a['image_id'] == sample.annotation.img_id):
            left, top, width, height = one['bbox']
            if min(width, height) < 4:
                continue  # the config leaves such out
            left = 320 - left - width if sample.annotation.flip else left
            colour = (220, 20, 60) if one['category_id'] == 1 else (0, 60, 200)
            row, column = round(top + height), min(319, round(left + width / 2))
            around = canvas.pixels[max(0, row - 1) : row + 2, column - 1 : column + 2]
            assert is_colour(around, colour, 0).any() or row >= 192 - 1
    assert flips == {True, False}


def test_validation_boxes_are_moved_with_the_image(scenes: Path) -> None:
    """The pipeline loads them after the resize, in the file's coordinates."""
    cfg = read('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py', scenes / 'coco')
    plain, _ = drawn(cfg, split='val')
    cfg.val_dataloader.dataset.pipeline[1].scale_factor = 2.0
    double, _ = drawn(cfg, split='val')
    boxes = [one.annotation.gt_instances.bboxes for one in (plain, double)]
    assert len(boxes[0]) and torch.allclose(2 * boxes[0], boxes[1])
    assert double.image.shape[0] == 2 * plain.image.shape[0]


def test_label_maps_of_drawn_scenes(scenes: Path) -> None:
    from mmseg.utils import cityscapes_palette

    cfg = read('hrnetv2_w18_small_v1_synthetic.py', scenes / 'cityscapes')
    source = SampleSource(cfg, split='train')
    sample = source.load(1)
    canvas = draw_annotation(sample.image, sample.annotation, Look.of(source.metainfo))
    _, file = source.files(1)
    labels = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
    labels = labels[:, ::-1] if sample.annotation.flip else labels
    expected = (sample.image + np.asarray(cityscapes_palette())[labels].astype(float)) / 2
    assert np.abs(canvas.pixels - expected).max() <= 1
    assert 'sky' in canvas.legend[[swatch.text[:3] for swatch in canvas.legend].index('sky')].text


def test_people_of_drawn_scenes(scenes: Path) -> None:
    """The dot of every keypoint that has no other near it lies on its target, in its colour."""
    cfg = read('hrnetv1_w18_small_v1_synthetic_192x144.py', scenes / 'coco')
    source = SampleSource(cfg, split='train')
    look = Look.of(source.metainfo)
    shown = 0
    for index in range(len(source)):
        sample = source.load(index)
        canvas = draw_annotation(flat(size=sample.image.shape[:2]), sample.annotation, look)
        assert canvas.scale == 2
        instances = sample.annotation.gt_instances
        heat = sample.annotation.gt_fields.heatmaps.numpy()
        peaks = {}
        for number in np.flatnonzero(instances.keypoints_visible[0] * heat.any(axis=(1, 2))):
            row, column = np.unravel_index(heat[number].argmax(), heat.shape[1:])
            peaks[number] = 2 * np.array([column * 143 / 35, row * 191 / 47])  # UDP: corner to corner
        for number, peak in peaks.items():
            if min(np.abs(peak - other).max() for n, other in peaks.items() if n != number) > 20:
                x, y = np.round(peak).astype(int)
                spot = canvas.pixels[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7]
                assert is_colour(spot, look.keypoint_colour(int(number)), 0).sum() > 10
                shown += 1
    assert shown > 30


# the whole command


def tool(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    """Run the tool in this process; gives its exit code."""
    monkeypatch.setattr(sys, 'argv', ['browse_data.py', *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / 'tools/browse_data.py'), run_name='__main__')
    except SystemExit as end:
        return end.code
    return 0


def test_the_command(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = ROOT / 'configs' / DETECTION
    assert tool(monkeypatch, config, '--data-root', own, '--count', 2) == 0
    folder = Path('work_dirs') / Path(DETECTION).stem / 'samples/train'
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        '2 of 2 samples drawn, 3 in the split',
        f'contact sheet: {folder / "contact_sheet.png"}',
    ]
    assert sorted(p.name for p in folder.iterdir()) == ['000000_a.png', '000001_b.png', 'contact_sheet.png']
    single, sheet = (cv2.imread(str(folder / name)) for name in ('000000_a.png', 'contact_sheet.png'))
    assert single.shape[1] == 512 and single.shape[0] == 384 + 2 * LINE_HEIGHT
    assert (
        single[2 * LINE_HEIGHT :] == cv2.cvtColor(drawn(read(DETECTION, own))[1].pixels, cv2.COLOR_RGB2BGR)
    ).all()
    assert sheet.shape[1] == 2 * (320 + 8)


@pytest.mark.parametrize(
    ('config', 'broken', 'said'),
    [
        (DETECTION, 'b.jpg', 'failed to load image'),
        (SEGMENTATION, 'masks/b.png', 'UnidentifiedImageError'),
        (SEGMENTATION, 'b.jpg', 'failed to load image'),
        (POSE, 'b.jpg', 'failed to load image'),
    ],
)
def test_a_broken_file_is_told_and_the_others_go_on(
    config: str,
    broken: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write_own(tmp_path / 'data')
    (root / broken).write_bytes(b'not an image')
    out = tmp_path / 'out'
    code = tool(monkeypatch, ROOT / 'configs' / config, '--data-root', root, '--out-dir', out)
    assert code == 1
    lines = capsys.readouterr().out.splitlines()
    (failed,) = [line for line in lines if line.startswith('failed')]
    assert failed.startswith('failed sample 1 (') and str(root / broken) in failed and said in failed
    assert lines[-2] == '2 of 3 samples drawn, 3 in the split, 1 FAILED'
    assert sorted(p.name for p in out.iterdir()) == ['000000_a.png', '000002_c.png', 'contact_sheet.png']


def test_samples_that_the_pipeline_drops_are_told(own: Path, tmp_path: Path) -> None:
    """A data set would silently give another sample in their place."""
    cfg = read(DETECTION, own)
    strict = {'type': 'FilterAnnotations', 'min_gt_bbox_wh': (1000, 1000), 'keep_empty': True}
    cfg.train_dataloader.dataset.pipeline.insert(-1, strict)
    with pytest.raises(Dropped):
        SampleSource(cfg, split='train').load(0)
    said: list[str] = []
    browsed = browse_samples(cfg, out_dir=tmp_path, progress=False, say=said.append)
    assert (browsed.sheet, browsed.pictures, browsed.failures) == (None, (), ())
    assert said == list(browsed.dropped) and len(said) == 3
    assert browsed.summary() == '0 of 3 samples drawn, 3 in the split, 3 dropped by the pipeline'


def test_wrapped_data_sets(own: Path, tmp_path: Path) -> None:
    """Repeated and joined, with the files of the innermost named."""
    cfg = read(DETECTION, own)
    inner = cfg.train_dataloader.dataset.to_dict()
    cfg.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [{'type': 'RepeatDataset', 'times': 2, 'dataset': inner}, inner],
    }
    source = SampleSource(cfg, split='train')
    assert [Path(source.files(i)[0]).name for i in range(len(source))] == ['a.jpg', 'b.jpg', 'c.jpg'] * 3
    assert len(browse_samples(cfg, count=9, out_dir=tmp_path, progress=False).pictures) == 9


def test_the_same_seed_draws_the_same(scenes: Path, tmp_path: Path) -> None:
    cfg = read('hrnetv2p_w18_small_v1_faster_rcnn_synthetic.py', scenes / 'coco')
    sheets = []
    for number, seed in enumerate((0, 0, 3)):
        browsed = browse_samples(cfg, out_dir=tmp_path / str(number), seed=seed, progress=False)
        assert browsed.sheet is not None
        sheets.append(browsed.sheet.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_mistakes_are_one_line(own: Path, tmp_path: Path) -> None:
    cfg = read(DETECTION, own)
    assert refused(lambda: browse_samples(cfg, count=0)).startswith('--count = 0: expected at least 1')
    assert refused(lambda: browse_samples(cfg, split='test')).startswith("--split = 'test': ")
    (tmp_path / 'file').write_text('')
    assert "--out-dir = '" in refused(lambda: browse_samples(cfg, out_dir=tmp_path / 'file'))
    assert 'looked for ' in refused(lambda: SampleSource(read(DETECTION, tmp_path / 'gone'), split='train'))
    broken = read(DETECTION, own)
    broken.train_dataloader.dataset.pipeline.insert(0, {'type': 'NoSuchTransform'})
    assert 'NoSuchTransform' in refused(lambda: SampleSource(broken, split='train'))
    broken.train_dataloader = None
    assert refused(lambda: SampleSource(broken, split='train')).startswith('train_dataloader = None')
    broken = read(DETECTION, own)
    broken.model.data_preprocessor.mean = [1.0, 2.0]
    assert refused(lambda: SampleSource(broken, split='train')).startswith('model.data_preprocessor = ')
    bad = tmp_path / 'bad'
    write_own(bad)
    (bad / 'person_keypoints.json').write_text('{"images": [')
    assert 'expected a data set that can be read' in refused(
        lambda: SampleSource(read(DETECTION, bad), split='train')
    )


def test_the_data_of_the_other_split_need_not_be_there(own: Path) -> None:
    cfg = read(DETECTION, own)
    cfg.val_dataloader.dataset.ann_file = 'gone.json'
    assert len(SampleSource(cfg, split='train')) == 3
    assert 'gone.json' in refused(lambda: SampleSource(cfg, split='val'))


def test_help_ends_in_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool(monkeypatch, '--help') == 0
    assert 'example:\n  python tools/browse_data.py configs/' in capsys.readouterr().out.rstrip()[-200:]
