"""Predictions of several tasks by one network, beside those of the single networks with its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from joint_project import NAMES, write_joint
from tool_runs import in_process

from hrnet_mm import Network
from hrnet_mm.checkpoints import extract_task
from hrnet_mm.config.build import build_model
from hrnet_mm.config.joint import task_config
from hrnet_mm.config.load import load_config


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_joint(tmp_path_factory.mktemp('joint'))


@pytest.fixture(scope='module')
def checkpoint(config: Path) -> Path:
    """Weights with which the detector finds people everywhere."""
    torch.manual_seed(0)
    model: Any = build_model(load_config(config))
    model.init_weights()
    head = model.tasks['detection'].roi_head.bbox_head
    torch.nn.init.normal_(head.fc_cls.weight, std=1.0)
    path = config.parent / 'joint.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return path


@pytest.fixture(scope='module')
def images(config: Path) -> list[str]:
    return sorted(map(str, (config.parent / 'segmentation' / 'data' / 'images').rglob('*.jpg')))[:2]


def test_equals_the_single_networks(
    config: Path, checkpoint: Path, images: list[str], tmp_path: Path
) -> None:
    joint = Network(config, checkpoint)
    found = joint.predict(images, batch=2)
    assert [list(each) for each in found] == [list(NAMES)] * 2
    people = [each['detection'] for each in found]
    assert any(len(each.boxes) for each in people)
    cfg = load_config(config)
    for name in NAMES:
        extract_task(checkpoint, tmp_path / f'{name}.pth', task=name)
        single = Network(task_config(cfg, name), tmp_path / f'{name}.pth')
        boxes = [np.c_[each['pose'].boxes] for each in found] if name == 'pose' else None
        for one, two in zip(found, single.predict(images, boxes=boxes), strict=True):
            for key, value in vars(one[name]).items():
                if isinstance(value, np.ndarray) and key != 'box_scores':
                    np.testing.assert_allclose(value, getattr(two, key), rtol=1e-4, atol=1e-4)


def test_one_pass_for_tasks_whose_images_are_equal(config: Path, checkpoint: Path, images: list[str]) -> None:
    cfg = load_config(config)
    segmentation = cfg.model.tasks.segmentation.data_preprocessor
    cfg.model.tasks.detection.data_preprocessor.update(mean=segmentation.mean, std=segmentation.std)
    cfg.model.tasks.detection.data_preprocessor.update(bgr_to_rgb=False, pad_size_divisor=1)
    segmentation.test_cfg = None
    for fast in (False, True):
        joint = Network(cfg, checkpoint, fast=fast)
        joint.load()
        sizes: list[Any] = []
        joint._model.backbone.register_forward_hook(lambda *args, sizes=sizes: sizes.append(args[1][0].shape))
        joint.predict(images[0], boxes=[[0, 0, 20, 20]])
        assert len(sizes) == 2  # the image, and the crop of a person
        assert [tuple(each[2:]) for each in sizes][-1] == (64, 64)


def test_tools_take_a_joint_network(
    config: Path, checkpoint: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    cv2.imwrite('one.png', np.full((64, 96, 3), 90, np.uint8))
    words = (config, checkpoint, 'one.png', '--json', 'out.json', '--out-dir', 'out')
    assert in_process('infer_all.py', *words, monkeypatch=monkeypatch) == 0
    assert Path('out/pictures/one.png').is_file()
    (record,) = json.loads(Path('out.json').read_text())['images']
    assert set(NAMES) <= record.keys()
    assert in_process('check_data.py', config, '--workers', '0', monkeypatch=monkeypatch) == 0
    assert 'task segmentation\n' in capsys.readouterr().out
    assert in_process('complexity.py', config, '--shape', '64', '96', monkeypatch=monkeypatch) == 0
    count = sum(value.numel() for value in build_model(load_config(config)).parameters())
    assert f'all tasks on one backbone\nparameters            {count:,}' in capsys.readouterr().out
