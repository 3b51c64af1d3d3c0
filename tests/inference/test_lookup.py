"""Networks by one word: checkpoints that carry their config, published models by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from peers import scramble
from refusal import refuses
from small_networks import Networks
from tool_runs import in_process

from hrnet_mm import HRNetBackbone, Network
from hrnet_mm.checkpoints import load_file
from hrnet_mm.config.build import build_model
from hrnet_mm.config.files import shipped_configs_folder
from hrnet_mm.inference.lookup import published_models

PUBLISHED = {
    'mmpose': 'td-hm_hrnet-w32_8xb64-210e_coco-256x192',
    'mmseg': 'fcn_hr18s_4xb2-40k_cityscapes-512x1024',
    'mmdet': 'faster-rcnn_hrnetv2p-w18-1x_coco',
    'mmpretrain': 'hrnet-w18_3rdparty_8xb32_in1k',
}


# --- Checkpoints that carry their config -------------------------------------------------------------


def with_config(checkpoint: str, text: Any, out: Path) -> Path:
    """As MMEngine's Runner saves: the config's text in the checkpoint's record."""
    content = load_file(checkpoint)
    content['meta'] = {**content['meta'], 'cfg': text}
    torch.save(content, out)
    return out


@pytest.mark.nightly
@pytest.mark.parametrize('task', ['pose', 'segmentation'])
def test_a_checkpoint_alone(
    task: str, network: Networks, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = network(task)
    path = with_config(files.checkpoint, Config.fromfile(files.config).pretty_text, place / 'whole.pth')
    alone, pair = Network(path, device='cpu'), Network(*files, device='cpu')
    found, same = (each.predict('photos/a.jpg') for each in (alone, pair))
    values = next(iter(vars(found)))
    np.testing.assert_array_equal(getattr(found, values), getattr(same, values))
    assert alone.task == task and alone.metadata == pair.metadata
    assert alone.draw('photos/a.jpg', found).shape[2] == 3
    assert (
        in_process('infer.py', 'whole.pth', '--out-dir', 'out', 'photos/a.jpg', monkeypatch=monkeypatch) == 0
    )
    assert in_process('infer.py', 'whole.pth', 'photos/a.jpg', '--batch', 2, monkeypatch=monkeypatch) == 0
    assert Path('out/pictures/a.jpg').is_file() and Path('predictions/pictures/a.jpg').is_file()


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        (None, 'a checkpoint that carries its config'),
        ("default_scope = __import__('os').mkdir('run')", 'a plain config inside'),
        ("default_scope = 'mmseg'\nimport os\nos.mkdir('run')", 'a plain config inside'),
    ],
)
def test_configs_in_checkpoints_are_read_not_run(
    text: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = text and f"a = 'default_scope'\n{text}"
    torch.save({'meta': {'cfg': text}, 'state_dict': {'x': torch.zeros(1)}}, 'a.pth')
    refuses(lambda: Network('a.pth'), "CHECKPOINT = 'a.pth'", why)
    assert not Path('run').exists()


# --- Published models --------------------------------------------------------------------------------


def address_of(scope: str) -> str:
    folder = shipped_configs_folder(scope).parent
    (model,) = published_models(folder, naming=PUBLISHED[scope])
    return str(model['Weights'])


def peers_model(scope: str) -> Any:
    """The package's own model of the published config, with random weights."""
    folder = shipped_configs_folder(scope).parent
    (model,) = published_models(folder, naming=PUBLISHED[scope])
    return scramble(build_model(Config.fromfile(folder / model['Config']))).eval()


@pytest.mark.nightly
@pytest.mark.parametrize('scope', PUBLISHED)
def test_published_weights_go_into_our_backbone(
    scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the peer's own model lies where the download would."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    theirs = peers_model(scope)
    place = tmp_path / 'hub' / 'checkpoints' / Path(address_of(scope)).name
    place.parent.mkdir(parents=True)
    torch.save({'state_dict': theirs.state_dict()}, place)
    network = Network(f'{scope}::{PUBLISHED[scope]}', device='cpu')
    network.load()
    assert isinstance(network._model.backbone, HRNetBackbone)
    state = network._model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in theirs.state_dict().items())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, truth = (model.backbone(images) for model in (network._model, theirs))
    for x, like in zip(ours, truth, strict=True):
        torch.testing.assert_close(x, like, rtol=1e-4, atol=1e-4 * float(like.abs().max()))


def test_without_a_network_the_address_and_the_place_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('a.png', np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', Mock(side_effect=URLError('no route')))
    name = f'mmpose::{PUBLISHED["mmpose"]}'
    address = address_of('mmpose')
    assert in_process('infer.py', name, 'a.png', monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: CHECKPOINT = '{name}': expected a network to download {address}; ")
    place = tmp_path / 'hub' / 'checkpoints' / Path(address).name
    assert line.endswith(f'by hand it belongs at {place} (URLError: <urlopen error no route>)')


def test_unknown_names(tmp_path: Path) -> None:
    refuses(
        lambda: Network('mmpose::td-hm_hrnet-w32_8xb64-210e_coco-256x19'),
        'a model that mmpose publishes weights of, such as mmpose::td-hm_hrnet-w32_8xb64-210e_coco-256x192',
    )
    refuses(lambda: Network('mmsomething::a'), 'mmsomething::', 'one of mmpose')
