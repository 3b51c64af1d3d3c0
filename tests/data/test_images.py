"""Bombs are refused before anything decodes them, wherever images are read; what loaders make of odd ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from data_faults import bomb
from mmengine.config import Config
from PIL import Image, ImageFile

from hrnet_mm.config.errors import ConfigError
from hrnet_mm.data.images import (
    TooManyPixels,
    check_end,
    check_file,
    check_image,
    pixel_limit,
    read_header,
)
from hrnet_mm.data.loading import ImageLoader
from hrnet_mm.inference.sources import find_source


@pytest.fixture
def nothing_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError('decoded')

    monkeypatch.setattr(cv2, 'imdecode', refuse)
    monkeypatch.setattr(ImageFile.ImageFile, 'load', refuse)


@pytest.mark.parametrize('side', [10_000, 60_000])  # PIL warns of the first, and refuses the second
def test_bombs_are_refused_undecoded(side: int, tmp_path: Path, nothing_decodes: None) -> None:
    path = tmp_path / 'bomb.png'
    path.write_bytes(bomb(side))
    with pytest.raises(TooManyPixels, match=r'89478485 .* max_image_pixels=N'):
        read_header(path)
    for read in (ImageLoader().load, find_source):
        with pytest.raises(ConfigError, match=r'bomb\.png.*max_image_pixels'):
            read(str(path))


def test_the_limit_is_the_configs_while_a_run_lasts(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = tmp_path / 'wide.png'
    path.write_bytes(bomb(10_000))
    with pixel_limit(Config({})), pytest.raises(TooManyPixels):
        read_header(path)
    configs = [Config({'max_image_pixels': 10_000**2}), Config({}), Config({'max_image_pixels': 1})]
    with pytest.raises(KeyError), pixel_limit(*configs):
        assert read_header(path).width == 10_000
        raise KeyError  # the limit is put back however the run ends
    assert before == Image.MAX_IMAGE_PIXELS
    for wrong in (0, -1, 'many', True):
        with (
            pytest.raises(ConfigError, match='max_image_pixels = '),
            pixel_limit(Config({'max_image_pixels': wrong})),
        ):
            pass


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_every_cut_is_seen(suffix: str, tmp_path: Path) -> None:
    """The quick look at the end never calls a whole file cut, nor a cut one whole, be it by two bytes."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    data = cv2.imencode(suffix, noise)[1].tobytes()
    path = tmp_path / f'x{suffix}'
    for content in (data, data + b'\0' * 100):
        path.write_bytes(content)
        assert [*check_end(str(path), read_header(path))] == []
    for length in (len(data) // 2, len(data) - 14, len(data) - 2):
        path.write_bytes(data[:length])
        for check in (check_file, check_image):
            (fault,) = check(str(path))
            assert fault.kind == 'truncated image'
            assert fault.reason.startswith(f'the file ends early, after {length} bytes')


@pytest.mark.parametrize('options', [{}, {'progressive': True}, {'restart_marker_blocks': 2}, {'exif': True}])
def test_zeros_are_no_pixels_of_a_jpeg(options: dict[str, Any], tmp_path: Path) -> None:
    """A file of its full length: decoders take zeros for grey. Behind the end anything may stand."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    thumbnail = cv2.imencode('.jpg', noise[::8, ::8])[1].tobytes()
    exif = {'exif': b'Exif\0\0II*\0\x08\0\0\0\0\0' + thumbnail} if options.get('exif') else {}
    path, written = tmp_path / 'x.jpg', io.BytesIO()
    Image.fromarray(noise).save(written, 'JPEG', **{**options, **exif})
    data, film = written.getvalue(), noise.tobytes()[:50_000]
    for content in (data, data + bytes(9000), data + film, data + film + bytes(9000)):
        path.write_bytes(content)
        assert [*check_image(str(path))] == []
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(len(data) - half))
    for check in (check_file, check_image):
        (fault,) = check(str(path))
        assert fault.kind == 'truncated image' and f'and {len(data) - half} zeros' in fault.reason
