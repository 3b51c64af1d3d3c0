"""Images as pipelines read them, against the arrays they were written from; what is shown of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.data.loading import ImageLoader, UnreadableImage

RNG = np.random.default_rng(0)


@TRANSFORMS.register_module(force=True)
class LoadBandsImage(BaseTransform):
    """Somebody's own loader: as many bands as the array in the file has."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if 'bug' in results['img_path']:
            raise RuntimeError('a bug in it')
        return {**results, 'img': np.load(results['img_path'])}


def loader(**step: Any) -> ImageLoader:
    return ImageLoader([{'type': 'LoadImageFromFile', **step}], scope='mmseg')


def written(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def test_pixels_are_what_the_step_gives(tmp_path: Path) -> None:
    deep = RNG.integers(900, 1200, (8, 12), dtype=np.uint16)
    path = written(tmp_path / 'deep.png', deep)
    np.testing.assert_array_equal(loader(color_type='unchanged').read(path), deep)
    assert loader(color_type='grayscale').read(path).dtype == np.uint8, 'OpenCV keeps 8 of 16 bits'
    real = RNG.normal(size=(8, 12, 3)).astype(np.float32)
    path = written(tmp_path / 'real.tif', real)
    np.testing.assert_array_equal(loader(color_type='unchanged').read(path), real)
    bands = RNG.integers(0, 4000, (8, 12, 5))
    np.save(tmp_path / 'bands.npy', bands)
    own = ImageLoader([{'type': 'LoadBandsImage'}, {'type': 'LoadAnnotations'}], scope='mmseg')
    np.testing.assert_array_equal(own.read(tmp_path / 'bands.npy'), bands)
    with pytest.raises(RuntimeError, match='a bug in it'):
        np.save(tmp_path / 'bug.npy', bands)
        own.read(tmp_path / 'bug.npy')


def test_what_is_shown(tmp_path: Path) -> None:
    """Eight bits as they are, more of them stretched; channels red first."""
    colour = RNG.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    path = written(tmp_path / 'colour.png', colour[..., ::-1])
    for each in (loader(), loader(to_float32=True)):
        np.testing.assert_array_equal(each.visible(each.read(path)), colour)
        np.testing.assert_array_equal(each.of_rgb(colour), each.read(path))
        assert each.of_rgb(colour).dtype == each.read(path).dtype
    grey = loader(color_type='grayscale')
    assert np.abs(grey.of_rgb(colour).astype(int) - grey.read(path)).max() <= 1
    assert grey.visible(grey.read(path)).shape == (8, 12, 3)
    deep = np.linspace(900, 1200, 96).astype(np.uint16).reshape(8, 12)
    shown = loader(color_type='unchanged').visible(deep)
    assert shown.dtype == np.uint8 and shown.min() == 0 and shown.max() == 255
    assert (np.diff(shown[..., 0].ravel().astype(int)) >= 0).all()
    bands = np.stack([deep + 10 * band for band in range(5)], axis=-1)
    own = ImageLoader([{'type': 'LoadBandsImage'}], scope='mmseg')
    assert own.visible(bands).shape == (8, 12, 3) and not own.is_bgr
    assert own.visible(np.full((2, 2), np.nan)).tolist() == [[[0] * 3] * 2] * 2
    assert own.visible(np.zeros((2, 2, 2), np.uint16)).shape == (2, 2, 3)


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    whole = written(tmp_path / 'whole.jpg', RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)).read_bytes()
    for name, content, why in (
        ('half.jpg', whole[: len(whole) // 2], 'truncated image'),
        ('empty.jpg', b'', 'the file is empty'),
        ('text.jpg', b'no image', 'not an image that LoadImageFromFile reads$'),
        ('gone.jpg', None, 'there is no such file'),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage, match=why):
            loader().read(tmp_path / name)


def test_the_loader_of_a_config() -> None:
    steps = [{'type': 'LoadImageFromFile', 'color_type': 'unchanged'}, {'type': 'PackSegInputs'}]
    cfg = Config({'default_scope': 'mmseg', 'val_dataloader': {'dataset': {'pipeline': steps}}})
    found = ImageLoader.of(cfg)
    assert found.is_given and str(found) == "LoadImageFromFile(color_type='unchanged')"
    held = ImageLoader.of(Config({'default_scope': 'mmpretrain'}))
    assert not held.is_given and not held.is_bgr
    with pytest.raises(ConfigError, match=r'pipeline = .*colour_type.* expected a step that can be built'):
        loader(colour_type='unchanged')
