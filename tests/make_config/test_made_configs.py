"""What the tool writes trains, is tested, and says how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import drawn
import numpy as np
import pytest
import test_from_class_folders
import test_from_coco
import test_from_label_maps
from tool_runs import in_process

from hrnet_mm.config.load import load_config
from hrnet_mm.make_config import make_config
from hrnet_mm.training.run import run_test, run_train

ONE_EPOCH = {'train_cfg.max_epochs': 1, 'train_dataloader.num_workers': 0, 'val_dataloader.num_workers': 0}
ONE_EPOCH |= {f'{split}_dataloader.persistent_workers': False for split in ('train', 'val')}


def keypoints(root: Path) -> None:
    drawn.write_json(root / 'cats.json', drawn.coco(range(8), keypoints=['nose', 'left_ear', 'right_ear']))
    for number in range(8):
        drawn.write_image(root / f'{number}.png', number)


def outlines(root: Path) -> None:
    """Triangles, so that masks are more than boxes."""
    content = drawn.coco(range(8))
    for annotation in content['annotations']:
        left, top, side = annotation['bbox'][:3]
        annotation['segmentation'] = [[left, top, left + side, top, left, top + side]]
    drawn.write_json(root / 'result.json', content)
    for number in range(8):
        drawn.write_image(root / f'images/{number}.png', number)


def label_maps(root: Path) -> None:
    test_from_label_maps.write(root, range(8), image='images/{}.jpg', mask='masks/{}.png')


def class_folders(root: Path) -> None:
    test_from_class_folders.write(root, range(8))


@pytest.mark.nightly
@pytest.mark.parametrize('write', [test_from_coco.cvat, outlines, keypoints, label_maps, class_folders])
def test_the_config_trains_and_is_tested(
    write: Callable[[Path], None],
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(own_folder / 'data')
    words = ('data', '--arch', 'w18_small_v1', '-o', 'my.py')
    assert in_process('make_config.py', *words, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert '\npython tools/train.py my.py ' in printed and 'memory of a training step' in printed
    cfg = load_config('my.py', options=ONE_EPOCH)
    best = cfg.default_hooks.checkpoint.save_best
    run_train(cfg)
    metrics = run_test(load_config('my.py', options=ONE_EPOCH), Path(cfg.work_dir) / 'epoch_1.pth')
    # where an untrained detector finds nothing, mmdet gives no metrics
    assert best in metrics or (not metrics and cfg.default_scope == 'mmdet')


@pytest.mark.parametrize('bands', [1, 5])
def test_tiffs_of_several_bands_or_floats(bands: int, own_folder: Path) -> None:
    tifffile = pytest.importorskip('tifffile')
    (own_folder / 'data/masks').mkdir(parents=True)
    (own_folder / 'data/images').mkdir()
    for number in range(5):
        labels = drawn.labels(number)
        pixels = np.stack([1000.0 * band + 100 * labels for band in range(bands)], axis=-1).squeeze()
        tifffile.imwrite(own_folder / f'data/images/{number}.tif', pixels.astype(np.float32))
        cv2.imwrite(str(own_folder / f'data/masks/{number}.png'), labels)
    made = make_config('data', arch='w18_small_v1', weights='none', out='my.py')
    assert not made.check().is_damaged
    cfg = load_config(made.path, options=ONE_EPOCH)
    mean = [1000.0 * band + 100 * np.mean([drawn.labels(n) for n in range(5)]) for band in range(bands)]
    assert cfg.model.data_preprocessor.mean == pytest.approx(mean, abs=20)
    assert cfg.model.backbone.in_channels == bands
    if bands > 1:
        run_train(cfg)


def test_damaged_data_end_in_exit_code_1(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test_from_coco.plain(own_folder / 'data')
    (own_folder / 'data/train2017/0.png').write_bytes((own_folder / 'data/train2017/0.png').read_bytes()[:60])
    assert in_process('make_config.py', 'data', '--arch', 'w18_small_v1', monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr().out
    assert 'truncated image: 1' in printed and 'tools/train.py' not in printed
    assert Path('data_config.py').is_file()
