"""The streams after each stage: their sizes by the paper, their values by the backbone's own parts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from own_configs import read_config
from peers import build_ours, images, scramble
from tool_runs import in_process
from torch import Tensor, nn

from hrnet_mm import NAMED_ARCHS, HRNetBackbone
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.pictures.features import (
    StreamMap,
    backbone_of,
    draw_streams,
    show_features,
    stream_maps,
)

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = POSE, *_ = tuple(
    ROOT / 'configs' / f'{name}.py'
    for name in (
        'hrnetv1_w18_small_v1_synthetic_192x144',
        'hrnetv2_w18_small_v1_synthetic',
        'hrnet_w18_small_v1_cifar10',
        'hrnetv2p_w18_small_v1_faster_rcnn_synthetic',
    )
)
SIZE = (64, 96)


def backbone(**kwargs: Any) -> HRNetBackbone:
    kwargs.setdefault('arch', 'w18_small_v1')
    kwargs.setdefault('multiscale_output', True)
    ours = scramble(build_ours(**kwargs)).eval()
    assert isinstance(ours, HRNetBackbone)
    return ours


def picture(size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def example(size: tuple[int, int] = SIZE) -> Tensor:
    return images(1, size=size, dtype=torch.float32)


# -- what is seen ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arch', 'widths', 'first'), [('w18_small_v1', (16, 32, 64, 128), 128), ('w32', (32, 64, 128, 256), 256)]
)
def test_stage_s_has_s_streams_of_the_papers_sizes(arch: str, widths: tuple[int, ...], first: int) -> None:
    """Stage 1 is a bottleneck, four times its base; stream i has 2**i C channels and stride 4 2**i."""
    maps = stream_maps(backbone(arch=arch), example())
    expected = {
        (stage, stream): (widths[stream], (64 // 4 // 2**stream, 96 // 4 // 2**stream))
        for stage in range(2, 5)
        for stream in range(stage)
    }
    found = {(m.stage, m.stream): (m.channels, m.strength.shape) for m in maps}
    assert found == {(1, 0): (first, (16, 24)), **expected}
    assert widths == NAMED_ARCHS[arch][-1].out_channels


def test_sizes_round_up_and_unused_streams_are_left_out() -> None:
    coarsest = stream_maps(backbone(), example((70, 45)))[-1]
    assert (coarsest.stage, coarsest.stream, coarsest.strength.shape) == (4, 3, (3, 2))
    some = stream_maps(backbone(out_indices=(1, 3)), example())
    assert [m.stream for m in some if m.stage == 4] == [1, 3]


@torch.no_grad()
def test_values_are_those_that_the_next_stage_gets() -> None:
    """The backbone walked by hand, and its own output for the last stage; no hook is left behind."""
    ours, x = backbone(), example()
    found = {(m.stage, m.stream): m.strength for m in stream_maps(ours, x)}
    assert not any(module._forward_hooks for module in ours.modules())
    after_1 = [ours.layer1(ours.bn2(ours.conv2(ours.bn1(ours.conv1(x)).relu())).relu())]
    after_2 = ours.stage2(ours.transition1(after_1))
    after_3 = ours.stage3(ours.transition2(after_2))
    for stage, streams in enumerate((after_1, after_2, after_3, ours(x)), start=1):
        for stream, y in enumerate(streams):
            truth = np.sqrt((y[0].numpy().astype(np.float64) ** 2).mean(axis=0))
            assert truth.std() > 0.01 * truth.mean()
            np.testing.assert_allclose(found.pop((stage, stream)), truth, rtol=1e-3, atol=1e-5)
    assert not found


# -- the figure -----------------------------------------------------------------------------------


@pytest.mark.parametrize(('stage', 'stream', 'place'), [(1, 0, (2, 20)), (4, 3, (1, 2))])
def test_a_planted_activation_shows_in_its_place(stage: int, stream: int, place: tuple[int, int]) -> None:
    """In its row and column of the figure, over the image's area that the stream's pixel stands for."""
    ours = backbone()

    def plant(module: nn.Module, inputs: Any, output: Any) -> None:
        (output if stage == 1 else output[stream])[0, :, place[0], place[1]] += 1000

    getattr(ours, 'layer1' if stage == 1 else f'stage{stage}').register_forward_hook(plant)
    figure = draw_streams(picture(), stream_maps(ours, example()))
    axes = np.array(figure.axes).reshape(4, 5)
    (shown,) = axes[stream, stage].images
    pixels = np.asarray(shown.get_array())
    assert np.unravel_index(pixels.argmax(), pixels.shape) == place
    left, right, bottom, top = shown.get_extent()
    assert ((right - left) / pixels.shape[1], (bottom - top) / pixels.shape[0]) == (4 * 2**stream,) * 2


def test_rows_are_streams_and_columns_are_stages() -> None:
    figure = draw_streams(picture(), stream_maps(backbone(), example()), title='a title')
    axes = np.array(figure.axes).reshape(4, 5)
    filled = np.array([[bool(axis.images) for axis in row] for row in axes])
    expected = np.triu(np.ones((4, 5), bool), 1)
    expected[0, 0] = True
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), picture())
    assert [axis.get_ylabel() for axis in axes[:, 0]] == [f'stride {s}' for s in (4, 8, 16, 32)]
    titles = [axis.get_title().splitlines()[0] for axis in axes[0]]
    assert titles == ['image', 'stage 1', 'stage 2', 'stage 3', 'stage 4']
    assert (axes[3, 4].get_title(), figure.get_suptitle()) == ('128 x 2 x 3', 'a title')
    figure = draw_streams(picture(), stream_maps(backbone(multiscale_output=False), example()))
    first, *unused = np.array(figure.axes).reshape(4, 5)[:, 4]
    assert first.images and not any(axis.images for axis in unused)
    assert [axis.get_title()[:12] for axis in unused] == ['not computed'] * 3


def test_each_map_has_colours_of_its_own() -> None:
    """From its 1st to its 99th percentile: one odd pixel does not darken the rest."""
    strength = np.random.default_rng(0).random((16, 24), dtype=np.float32)
    strength[3, 4] = 1e6
    for faint in (1e-5 * strength, np.zeros((16, 24), np.float32)):
        figure = draw_streams(picture(), [StreamMap(1, 0, 8, faint)])
        shown = figure.axes[1].images[0]
        np.testing.assert_allclose(shown.get_clim(), np.percentile(faint, (1, 99)))
        figure.canvas.draw()


# -- whole configs --------------------------------------------------------------------------------


@pytest.mark.parametrize('config', CONFIGS, ids=lambda p: p.stem)
def test_a_picture_for_every_package(config: Path, tmp_path: Path) -> None:
    out = show_features(read_config(config), picture(), tmp_path / 'new' / 'features.png')
    drawn = cv2.imread(str(out))
    assert drawn.shape[1] > 1000 and drawn.shape[0] > 500 and drawn.std() > 20, 'a blank page'
    assert list(out.parent.iterdir()) == [out]


def test_weights_show(tmp_path: Path) -> None:
    """Another checkpoint gives another picture."""
    cfg, pictures = read_config(POSE), []
    head = {'head.final_layer.weight': torch.zeros(17, 16, 1, 1), 'head.final_layer.bias': torch.zeros(17)}
    for seed in (1, 2):
        model = scramble(build_ours(arch='w18_small_v1', multiscale_output=False), seed=seed)
        state = {f'backbone.{name}': value for name, value in model.state_dict().items()}
        torch.save({'state_dict': {**state, **head}}, tmp_path / 'weights.pth')
        out = show_features(cfg, picture(), tmp_path / f'{seed}.png', checkpoint=tmp_path / 'weights.pth')
        pictures.append(cv2.imread(str(out)).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() > 50


def test_other_backbones_and_numbers_of_channels_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^model\.backbone\.type = 'Conv2d': expected HRNetBackbone; tools/"
    ):
        backbone_of(nn.Sequential(nn.Conv2d(3, 4, 1))[0])
    with pytest.raises(ConfigError, match=r'^model\.backbone\.in_channels = 1: expected 3$'):
        stream_maps(backbone(in_channels=1), example())


def test_a_file_and_its_pixels_give_one_picture(tmp_path: Path) -> None:
    path = tmp_path / 'image.png'
    cv2.imwrite(str(path), picture()[..., ::-1])
    drawn = []
    for image in (path, picture(), picture((40, 30))):
        torch.manual_seed(0)
        out = show_features(read_config(POSE), image, tmp_path / 'drawn.png', shape=(64, 96))
        drawn.append(cv2.imread(str(out)))
    assert np.array_equal(drawn[0], drawn[1]) and drawn[2].shape == drawn[0].shape


def test_images_are_read_as_the_pipeline_does(tmp_path: Path) -> None:
    """What differs in the lower of 16 bits alone is seen, and drawn stretched."""
    cfg = copy.deepcopy(read_config(CONFIGS[1]))
    cfg.model.backbone.in_channels = 1
    cfg.model.data_preprocessor.update(mean=[1000.0], std=[100.0])
    for stage in ('val', 'test'):
        cfg[f'{stage}_dataloader'].dataset.pipeline[0].color_type = 'unchanged'
    deep = 1000 + picture()[..., 0].astype(np.uint16) % 200
    drawn = []
    for number, image in enumerate((deep, deep ^ 255)):
        cv2.imwrite(str(tmp_path / 'deep.png'), image)
        torch.manual_seed(0)
        out = show_features(cfg, tmp_path / 'deep.png', tmp_path / f'{number}.png')
        drawn.append(cv2.imread(str(out)).astype(int))
    assert np.abs(drawn[0] - drawn[1]).max() > 50
    with pytest.raises(ConfigError, match=r"IMAGE = '.*gone.png': expected an image that can be read"):
        show_features(cfg, tmp_path / 'gone.png', tmp_path / 'a.png')


# -- the tool -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arguments', 'out'),
    [
        (('street.png', '--shape', 32, 64), 'street_features.png'),
        (('--out', 'a/b.png', 'street.png'), 'a/b.png'),
    ],
)
def test_the_tool_writes_a_picture(
    arguments: tuple[object, ...], out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('street.png', picture())
    assert in_process('show_features.py', POSE, *arguments, monkeypatch=monkeypatch) == 0
    assert cv2.imread(out) is not None
