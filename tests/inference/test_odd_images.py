"""Images that are not 8-bit RGB: read as the config's pipeline reads them, against MMEngine's own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import TRANSFORMS, BaseTransform
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from refusal import refuses
from small_networks import HEIGHT, WIDTH, Files, look, write_network, write_scene

from hrnet_mm import Network
from hrnet_mm.config.build import build_trained
from hrnet_mm.export import export_model

RNG = np.random.default_rng(0)


@TRANSFORMS.register_module(force=True)
class LoadNumpyImage(BaseTransform):
    """Somebody's own loader."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.load(results['img_path'])
        return {**results, 'img': image, 'img_shape': image.shape[:2], 'ori_shape': image.shape[:2]}


def segmentor(folder: Path, *, channels: int, loader: dict[str, Any]) -> Files:
    options = {
        'model.backbone.in_channels': channels,
        'model.data_preprocessor.mean': [1000.0] * channels,
        'model.data_preprocessor.std': [100.0] * channels,
        'model.data_preprocessor.bgr_to_rgb': False,
    }
    return write_network('segmentation', folder, options=options, loader=loader)


def mmsegs_labels(files: Files, path: Path) -> np.ndarray:
    """What the model says of the file, read by the config's whole test pipeline."""
    cfg = Config.fromfile(files.config)
    steps = [s for s in cfg.test_dataloader.dataset.pipeline if s['type'] != 'LoadAnnotations']
    model: Any = build_trained(cfg, files.checkpoint)
    with DefaultScope.overwrite_default_scope('mmseg'):
        (sample,) = model.test_step(pseudo_collate([Compose(steps)({'img_path': str(path)})]))
    return sample.pred_sem_seg.data[0].numpy()


def coarse(high: int, *shape: int) -> np.ndarray:
    """Soft blobs of values from 800 on: noise of single pixels would average out inside a network."""
    blobs = RNG.uniform(800, high, (6, 10, *shape)).astype(np.float32)
    return cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def test_sixteen_bits_are_segmented_as_in_validation_and_shown_stretched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = segmentor(tmp_path, channels=1, loader={'color_type': 'unchanged'})
    path = tmp_path / 'deep.png'
    assert cv2.imwrite(str(path), coarse(1200).clip(800, 1200).astype(np.uint16))
    _, record = look(str(path), files, out_dir='out')
    labels = cv2.imread(record['images'][0]['segmentation']['labels'], cv2.IMREAD_UNCHANGED)
    truth = mmsegs_labels(files, path)
    assert 0.05 < truth.mean() < 0.95
    np.testing.assert_array_equal(labels, truth)
    assert np.ptp(cv2.imread('out/pictures/deep.png')[: HEIGHT * 2]) > 200, 'not black'
    write_scene(tmp_path / 'colour.jpg')
    refuses(
        lambda: Network(*files).predict('colour.jpg'),
        "images = 'colour.jpg'",
        "1 channels, as the model takes, not the 3 that LoadImageFromFile(color_type='unchanged')",
    )


def test_five_bands_by_ones_own_loader(tmp_path: Path) -> None:
    files = segmentor(tmp_path, channels=5, loader={'type': 'LoadNumpyImage'})
    bands = coarse(1200, 5)
    np.save(tmp_path / 'bands.npy', bands)
    network = Network(*files, device='cpu')
    found = network.predict(tmp_path / 'bands.npy').labels
    np.testing.assert_array_equal(found, mmsegs_labels(files, tmp_path / 'bands.npy'))
    np.testing.assert_array_equal(found, network.predict(bands).labels)
    report = export_model(network.cfg, files.checkpoint, tmp_path / 'bands.onnx', shape=(64, 64))
    assert report.error < 1e-4 and '1 x 5 x 64 x 64' in str(report)


def test_grey_networks_take_colour_files_arrays_and_frames(tmp_path: Path) -> None:
    files = segmentor(tmp_path, channels=1, loader={'color_type': 'grayscale'})
    write_scene(tmp_path / 'a.png')
    network = Network(*files, device='cpu')
    from_path = network.predict(tmp_path / 'a.png').labels
    rgb = cv2.imread(str(tmp_path / 'a.png'))[..., ::-1]
    assert (network.predict(np.ascontiguousarray(rgb)).labels == from_path).mean() > 0.99
    np.testing.assert_array_equal(from_path, mmsegs_labels(files, tmp_path / 'a.png'))
