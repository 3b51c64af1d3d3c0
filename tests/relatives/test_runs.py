"""From drawn data to an exported file, as for an HRNet."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import train, training_state, write_project

from hrnet_mm.config.load import load_config
from hrnet_mm.export import export_model

BACKBONES = {'SegNet': {}, 'DeconvNet': dict(core_channels=16, core_kernel_size=2)}


@pytest.mark.parametrize('name', BACKBONES)
def test_it_trains_is_scored_and_exported(name: str, own_folder: Path) -> None:
    backbone = dict(_delete_=True, type=f'hrnet_mm.{name}', base_channels=4, **BACKBONES[name])
    head = dict(in_channels=4, channels=4)
    base = write_project(own_folder, 'segmentation').name
    Path('own.py').write_text(
        f"_base_ = '{base}'\n"
        f'model = dict(backbone={backbone}, neck=None, decode_head={head})\n'
        'train_cfg = dict(max_iters=2, val_interval=2)\n'
    )
    checkpoint = train(Path('own.py'), Path('work'))
    assert any('mIoU' in key for key in training_state(checkpoint))
    report = export_model(load_config('own.py'), checkpoint, 'own.onnx', shape=(64, 96), dynamic=True)
    assert report.error < 1e-4
