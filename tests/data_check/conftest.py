from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

import hrnet_mm  # noqa: F401  registers everything, as the tools do
from hrnet_mm.engine import load_config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'engine'))
import tiny_projects as tiny  # lies beside the tests of the engine

WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], str]]] = {
    'mmpretrain': (tiny.write_classes, tiny.classification_config),
    'mmseg': (tiny.write_masks, tiny.segmentation_config),
    'mmdet': (tiny.write_coco, tiny.detection_config),
    'mmpose': (tiny.write_coco, tiny.pose_config),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Config]:
    """Writes a scope's sound data to ``data`` and gives the config, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def write(scope: str) -> Config:
        write_data, config_text = WRITERS[scope]
        write_data(tmp_path / 'data')
        config = tmp_path / f'tiny_{scope}.py'
        config.write_text(config_text(tmp_path / 'data'))
        return load_config(config, options={'train_cfg.max_epochs': 1})

    return write


@TRANSFORMS.register_module(force=True)
class FailingStep:
    """A transform with a bug."""

    def __call__(self, data: object) -> object:
        return 1 // 0
