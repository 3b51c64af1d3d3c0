"""Growth with size, and the time from nothing to the first output."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from benchmarking import growth as module
from benchmarking.growth import AXES, exponents
from benchmarking.request import make_request
from children import in_child

ROOT = Path(__file__).resolve().parents[3]
TINY = [
    '--what',
    'backbone',
    '--arch',
    'w18_small_v1',
    '--shape',
    '32',
    '32',
    '--batch',
    '1',
    '--threads',
    '1',
]


def tool(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['tools/dev/benchmark.py', *TINY, *arguments])
    runpy.run_path(str(ROOT / 'tools' / 'dev' / 'benchmark.py'), run_name='__main__')


@pytest.mark.parametrize(
    ('axis', 'sizes'),
    [
        ('area', [(2, 32, 48), (2, 32, 96), (2, 64, 96), (2, 64, 192), (2, 128, 192)]),
        ('batch', [(2, 32, 48), (4, 32, 48), (8, 32, 48), (16, 32, 48), (32, 32, 48)]),
    ],
)
def test_every_octave_doubles_the_pixels(axis, sizes):
    request = make_request(what='backbone', shape=[32, 48], batch=2, peers=['mmpose'])
    requests = [AXES[axis](request, octave) for octave in range(5)]
    assert [(r.batch, *r.shape) for r in requests] == sizes


def test_exponents_of_known_growth():
    assert exponents([3.0, 6.0, 12.0]) == pytest.approx([1, 1])
    assert exponents([1.0, 4.0, 4.0]) == pytest.approx([2, 0])


@pytest.mark.parametrize('axis', AXES)
def test_growth_from_the_command_line(monkeypatch, capsys, tmp_path, axis):
    monkeypatch.setattr(module, '_OCTAVES', range(2))
    record, picture = tmp_path / 'g.json', tmp_path / 'g.png'
    asked = ['--peers', 'mmpose', 'openvino', '--forms', 'plain', '--rounds', '1', '--growth', axis]

    def printed() -> str:
        tool(monkeypatch, *asked, '--json', str(record), '--png', str(picture))
        return str(capsys.readouterr().out)

    # a process in which OpenVINO ran may be ended by a signal once it starts data workers
    lines = in_child(printed, seconds=300).splitlines()
    larger = {'area': '1x32x64', 'batch': '2x32x32'}[axis]
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]
    tables = [row for row in rows if len(row) == 4]
    assert tables[0] == ['ms', '1x32x32', larger, 'exponent']
    assert [row[0] for row in tables[2:5]] == ['mmpose', 'mmpose openvino', 'ours']
    assert tables[5][0] == 'peak MiB' and tables[8][1:] == ['–', '–', '–']  # OpenVINO tells nothing
    found = json.loads(record.read_text())
    assert found['growth'] == axis and len(found['reports']) == 2
    peaks = [r['matches'][0]['contestants'][0]['peak_bytes'] for r in found['reports']]
    assert peaks[0] < peaks[1]
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_start_up_from_the_command_line(monkeypatch, capsys, tmp_path):
    record = tmp_path / 's.json'
    tool(monkeypatch, '--peers', 'timm', '--rounds', '1', '--start-up', '--json', str(record))
    rows = [line.split('|')[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row.isalpha()] == ['ms', 'timm', 'ours']
    found = json.loads(record.read_text())
    for processes in found['processes'].values():
        (seconds,) = processes
        assert len(seconds) == len(found['steps']) == 5 and min(seconds) > 0


@pytest.mark.parametrize(
    ('asked', 'message'),
    [
        (['--growth', 'width'], "--growth = 'width': expected one of area, batch"),
        (['--start-up', '--png', 'x.png'], "--png = 'x.png': expected none with --start-up"),
        (['--start-up', '--what', 'hrfpn'], "--start-up = 'hrfpn': expected --what backbone"),
    ],
)
def test_mistakes_are_named(monkeypatch, capsys, asked, message):
    with pytest.raises(SystemExit):
        tool(monkeypatch, *asked)
    assert re.search(re.escape(message), capsys.readouterr().err)
