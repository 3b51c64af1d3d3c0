"""The text of a config reads as those in ``configs/`` do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hrnet_mm.swap.config_text import config_text
from hrnet_mm.swap.summary import summarise

ROOT = Path(__file__).resolve().parents[2]
CHANGES = {
    'default_hooks': {'weights': {'type': 'hrnet_mm.HRNetWeightsHook'}},
    'load_from': None,
    'model': {
        'decode_head': [{'in_index': (0,), 'in_channels': [32, 64]}, {'sampler': {'backbone.norm': 0.5}}],
        'neck': {'_delete_': True, 'type': 'hrnet_mm.HRFPN', 'in_channels': [32, 64, 128, 256], 'out': 256},
        'backbone': {
            '_delete_': True,
            'type': 'HRNetBackbone',
            'arch': 'w32',
            'init_cfg': {'type': 'Pretrained', 'checkpoint': 'open-mmlab://msra/hrnetv2_w32'},
        },
    },
    'custom_imports': {'imports': ['hrnet_mm']},
}


def test_order_and_comment() -> None:
    text = config_text('mmdet::a.py', CHANGES)
    lines = text.splitlines()
    assert lines[0] == "_base_ = 'mmdet::a.py'"
    assert lines[1] == "custom_imports = dict(imports=['hrnet_mm'])"
    assert (
        text.index('backbone=') < text.index('neck=') < text.index('decode_head=') < text.index('load_from')
    )
    assert lines[-1].startswith("default_hooks = dict(weights=dict(type='hrnet_mm.HRNetWeightsHook'))  # ")


def test_formatted_as_ours() -> None:
    text = config_text('mmdet::a.py', CHANGES)
    command = [
        sys.executable,
        '-m',
        'ruff',
        'format',
        '--stdin-filename',
        str(ROOT / 'configs' / 'a.py'),
        '-',
    ]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == text


def test_summary_is_an_aligned_diff() -> None:
    old = {'model': {'backbone': {'type': 'ResNet', 'style': 'caffe', 'depth': 50}, 'neck': {'in': [1, 2]}}}
    new = {'model': {'backbone': {'type': 'HRNetBackbone', 'arch': 'w32'}, 'neck': {'in': [3]}}}
    assert summarise(old, new).splitlines() == [
        "- model.backbone  ResNet(depth=50, style='caffe')",
        "+ model.backbone  HRNetBackbone(arch='w32')",
        '- model.neck.in   [1, 2]',
        '+ model.neck.in   [3]',
    ]


def test_summary_shortens_long_values() -> None:
    (line,) = summarise({}, {'a': list(range(100))}).splitlines()
    assert len(line) == 110
    assert line.endswith('…')
