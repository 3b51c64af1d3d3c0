"""Metrics as numbers, table and JSON, and the names of pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from refusal import refuses

from hrnet_mm.config.files import require_file
from hrnet_mm.pictures.pair_pictures_hook import picture_name
from hrnet_mm.training.run import as_floats, metrics_table, write_metrics

pytestmark = pytest.mark.usefixtures('own_folder')


def test_metrics_become_plain_floats() -> None:
    given = {'a': np.float32(0.5), 'b': torch.tensor(2), 'c': [1, 2.5], 'd': 'text', 'e': 3}
    got = as_floats(given)
    assert got == {'a': 0.5, 'b': 2.0, 'c[0]': 1.0, 'c[1]': 2.5, 'e': 3.0}
    assert {type(value) for value in got.values()} == {float}


def test_metrics_table() -> None:
    assert metrics_table({'coco/AP': 0.5, 'x': 12.34567}).splitlines() == [
        'metric     value',
        '-------  -------',
        'coco/AP   0.5000',
        'x        12.3457',
    ]


def test_written_metrics(tmp_path: Path) -> None:
    target = require_file(tmp_path / 'new/folder/m.json', key='--out', ending='.json')
    write_metrics(target, {'a': 0.1, 'b': float('nan')}, config='c.py', checkpoint='k.pth')
    record = {'config': 'c.py', 'checkpoint': 'k.pth', 'metrics': {'a': 0.1, 'b': None}}
    assert json.loads(target.read_text()) == record


def test_unusable_out(tmp_path: Path) -> None:
    refuses(lambda: require_file('m.txt', key='--out', ending='.json'), "--out = 'm.txt'", 'ending in .json')
    Path('file').touch()
    refuses(lambda: require_file('file/m.json', key='--out', ending='.json'), "--out = 'file'", 'a folder')


@pytest.mark.parametrize(
    ('path', 'root', 'name'),
    [
        ('/d/val/x/a.jpg', '/d', 'val/x/a.jpg'),
        ('/d/val/y/a.jpg', '/d/', 'val/y/a.jpg'),
        ('/d/a.tif', '/d', 'a.tif.png'),
        ('/other/a.JPG', '/d', 'other/a.JPG'),
        ('d/a.png', '', 'd/a.png'),
    ],
)
def test_names_of_pictures(path: str, root: str, name: str) -> None:
    assert picture_name(path, root=root) == name
