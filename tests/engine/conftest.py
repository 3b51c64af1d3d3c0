from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_projects as tiny

import hrnet_mm  # noqa: F401  registers everything, as the tools do

WRITERS: dict[str, tuple[Callable[[Path], object], Callable[[Path], str]]] = {
    'mmpretrain': (tiny.write_classes, tiny.classification_config),
    'mmseg': (tiny.write_masks, tiny.segmentation_config),
    'mmdet': (tiny.write_coco, tiny.detection_config),
    'mmpose': (tiny.write_coco, tiny.pose_config),
}


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a scope's data and config; gives the config. The data lie beside it in ``data``."""

    def write(scope: str) -> Path:
        write_data, config_text = WRITERS[scope]
        write_data(tmp_path / 'data')
        config = tmp_path / f'tiny_{scope}.py'
        config.write_text(config_text(tmp_path / 'data'))
        return config

    return write


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
