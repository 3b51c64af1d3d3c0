"""What cannot work is told in one line, and what the tools print and return."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from refusal import refuses
from small_networks import Networks, look
from tool_runs import in_process

import hrnet_mm.inference.network as network_module
from hrnet_mm.checkpoints import CheckpointError, load_file

pytestmark = pytest.mark.nightly

# --- Refusals ----------------------------------------------------------------------------------------


def test_what_does_not_go_together_is_refused_before_anything_is_read(
    network: Networks, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError('weights were read')

    pose, segmentation, detection = (network(task) for task in ('pose', 'segmentation', 'detection'))
    Path('boxes.json').write_text('{"a.jpg": []}')
    monkeypatch.setattr(network_module, 'read_weights', never)
    for call, parts in (
        (lambda: look('photos/a.jpg', segmentation, boxes='boxes.json'), ('--boxes', 'top-down pose')),
        (lambda: look('photos/a.jpg', segmentation, detector=detection), ('--detector', 'segmentation')),
        (lambda: look('photos/a.jpg', pose, detector=segmentation), ('detection', 'not for segmentation')),
        (lambda: look('photos/a.jpg', pose, detector=detection, boxes='boxes.json'), ('--boxes', 'not both')),
        (lambda: look('photos', pose, boxes='boxes.json'), ('--boxes', "'north/a.jpg'", '3 of 4')),
        (lambda: look('photos/a.jpg', [pose, pose]), ('networks', 'no two of one task')),
        (lambda: look('photos/a.jpg', pose, device='cuda:99'), ('--device', 'cuda:99', 'cpu')),
        (lambda: look('photos/a.jpg', pose, out_dir='photos/a.jpg'), ('--out-dir', 'a folder')),
        (lambda: look('gone', pose), ('SOURCE', 'gone')),
        (lambda: look('photos/a.jpg', pose._replace(config='gone.py')), ('config', 'gone.py')),
    ):
        refuses(call, *parts)
    assert not Path('found.json').exists() and not Path('predictions').exists()


def test_a_checkpoint_of_another_model_is_refused(network: Networks, place: Path) -> None:
    pose, detection = network('pose'), network('detection')
    Path('broken.pth').write_bytes(b'no weights')
    other = pose._replace(checkpoint=detection.checkpoint)
    refuses(
        lambda: look('photos/a.jpg', other), 'CHECKPOINT', detection.checkpoint, 'weights of the model in'
    )
    broken = pose._replace(checkpoint='broken.pth')
    with pytest.raises(CheckpointError, match=r'^checkpoint broken.pth: is damaged'):
        look('photos/a.jpg', broken)
    content = load_file(network('classification').checkpoint)
    content['state_dict'] = {
        name: value[:3] if name.startswith('head.') else value
        for name, value in content['state_dict'].items()
    }
    torch.save(content, 'three.pth')
    three = network('classification')._replace(checkpoint='three.pth')
    refuses(lambda: look('photos/a.jpg', three), 'CHECKPOINT', 'three.pth', 'head.fc')
    assert not Path('found.json').exists()


def test_images_that_cannot_be_used_are_named(network: Networks, place: Path) -> None:
    cv2.imwrite('narrow.png', np.zeros((1, 2000, 3), np.uint8))
    half = Path('photos/a.jpg').read_bytes()
    Path('half.jpg').write_bytes(half[: len(half) // 2])
    for name, why in (('narrow.png', 'can resize, not 2000x1'), ('half.jpg', 'truncated image')):
        refuses(lambda name=name: look(name, network('detection')), name, why)


# --- The tools ---------------------------------------------------------------------------------------


def test_the_tools_print_where_things_are(
    network: Networks, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pose, detection = network('pose'), network('detection')
    files = (pose.config, pose.checkpoint)
    assert in_process('infer.py', *files, 'photos/a.jpg', monkeypatch=monkeypatch) == 0
    output = capsys.readouterr()
    assert output.out == 'pose: one person\n1 image, pictures in predictions/pictures\n'
    assert '1/1' in output.err, 'no progress bar'
    assert Path('predictions/pictures/a.jpg').is_file()

    Path('photos/broken.jpg').write_bytes(b'no image')
    both = ('--pose', *files, '--detection', detection.config, detection.checkpoint)
    assert in_process('infer_all.py', 'photos', *both, '--json', 'all.json', monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr().out
    assert printed == '4 images, results in all.json, 1 unreadable and skipped (broken.jpg)\n'
    assert len(json.loads(Path('all.json').read_text())['images']) == 4

    assert in_process('infer.py', *files, 'gone', monkeypatch=monkeypatch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: SOURCE = 'gone': expected an image, a folder or a video")
