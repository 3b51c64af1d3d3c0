"""From the command line to table and JSON, at sizes that take seconds, on a clock of its own."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from benchmarking.contestants import make_contestant
from benchmarking.drivers import Driver
from benchmarking.networks import Network
from benchmarking.report import Report
from benchmarking.request import Request, make_request
from benchmarking.run import benchmark
from benchmarking.timer import Clock
from children import in_child

TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'dev' / 'benchmark.py'
TINY = ['--arch', 'w18_small_v1', '--batch', '1', '--threads', '1', '--rounds', '2']


def tool(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['tools/dev/benchmark.py', *arguments])
    runpy.run_path(str(TOOL), run_name='__main__')


def measured(request: Request) -> Report:
    """On a clock that a look moves by a second."""
    ticks = count()
    return benchmark(request, clock=Clock(now=lambda: float(next(ticks)), sleep=lambda seconds: None))


def test_backbone_inference(monkeypatch, tmp_path) -> None:
    record_file = tmp_path / 'new' / 'b.json'
    asked = ['--what', 'backbone', '--shape', '64', '64', *TINY, '--forms', 'plain', 'inference_form']
    asked += ['--peers', 'mmpose', 'onnxruntime', 'openvino', '--json', str(record_file)]

    def printed() -> str:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            tool(monkeypatch, *asked)
        return out.getvalue()

    names = ['mmpose', 'mmpose onnxruntime', 'mmpose openvino', 'ours', 'ours inference_form']
    # a process in which OpenVINO ran may be ended by a signal once it starts data workers
    rows = [line.split('|') for line in in_child(printed, seconds=300).splitlines() if line.startswith('|')]
    assert [row[1].strip() for row in rows[2:]] == names
    assert rows[0][-2].strip() == 'mmpose openvino / this'

    record = json.loads(record_file.read_text())
    assert record['command'].startswith('python tools/dev/benchmark.py --what backbone')
    assert record['machine']['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
    (match,) = record['matches']
    found = {row['name']: row for row in match['rows']}
    assert list(found) == names
    for name, row in found.items():
        assert len(row['samples']['seconds']) == 2 and min(row['samples']['seconds']) > 0
        assert row['ratios']['mmpose'] == pytest.approx(found['mmpose']['median'] / row['median'])
        assert row['error'] is None if name == 'mmpose' else row['error'] <= 1e-4
    assert found['ours']['peak'] > 4 * 1.2e6  # weights
    assert found['mmpose openvino']['peak'] is None


@pytest.mark.parametrize(('mode', 'batch'), [('infer', 1), ('train', 2)])
@pytest.mark.parametrize(
    ('what', 'peers', 'size'),
    [
        ('hrfpn', ['mmdet'], 16),
        ('v2', ['mmseg'], 16),
        ('backbone', ['timm', 'mmdet'], 64),
        pytest.param('pose', ['mmpose'], 64, marks=pytest.mark.nightly),
        pytest.param('seg', ['mmseg'], 64, marks=pytest.mark.nightly),
        pytest.param('det', ['mmdet'], 128, marks=pytest.mark.nightly),
        pytest.param('cls', ['mmpretrain', 'timm', 'resnet50:channels_last'], 64, marks=pytest.mark.nightly),
    ],
)
def test_every_kind_agrees_and_is_measured(what, peers, size, mode, batch) -> None:
    fast, before = 'inference_form' if mode == 'infer' else 'bf16', torch.get_num_threads()
    threads = before + (what == 'hrfpn' and mode == 'infer')
    request = make_request(
        what=what, mode=mode, arch='w18_small_v1', shape=(size, size), batch=batch, peers=peers,
        rounds=1, threads=threads, forms=['plain', fast],
    )  # fmt: skip
    report = measured(request)
    assert torch.get_num_threads() == before
    assert [match.name for match in report.matches] == request.peers
    for match in report.matches:
        ours = {row.name: row for row in match.rows if row.is_ours}
        assert list(ours) == ['ours', f'ours {fast}']
        assert ours[f'ours {fast}'].precision == ('bf16' if mode == 'train' else 'fp32')
        assert all(row.peak and row.peak > 1e5 for row in match.rows)
    text = report.as_text()
    assert request.kind.title in text and f'{threads} threads' in text


@pytest.mark.nightly
def test_the_compiler_and_low_precision() -> None:
    common = dict(arch='w18_small_v1', rounds=1, threads=1)
    compiled = make_request(what='hrfpn', shape=(16, 16), forms=['compiled'], peers=['mmdet'], **common)
    (match,) = measured(compiled).matches
    assert [row.name for row in match.rows] == ['mmdet', 'ours compiled']
    assert match.rows[1].peak is None
    forms = dict(forms=['plain', 'inference_form'], peers=['mmpretrain'])
    (match,) = measured(
        make_request(what='backbone', shape=(64, 64), precision='bf16', **forms, **common)
    ).matches
    assert all(row.precision == 'bf16' and 0 < row.error < 0.1 for row in match.rows)


def test_peak_memory_by_hand() -> None:
    """Inference holds weights, inputs and outputs; training the weights' gradient too."""
    weights, inputs, outputs = 100 * 300, 50 * 100, 50 * 300
    peaks = {}
    for mode in ('infer', 'train'):
        layer = Network('mmdet', torch.nn.Linear(100, 300, bias=False), Driver())
        request = make_request(what='hrfpn', mode=mode, threads=1)
        peaks[mode] = make_contestant(layer, 'plain', [torch.randn(50, 100)], request).peak() / 4
    assert peaks['infer'] == weights + inputs + outputs
    assert 2 * weights + inputs + outputs <= peaks['train'] < 2 * weights + inputs + 6 * outputs


@pytest.mark.nightly
def test_start_up_from_the_command_line(monkeypatch, capsys, tmp_path) -> None:
    record = tmp_path / 's.json'
    asked = ['--what', 'backbone', '--shape', '32', '32', *TINY[:-1], '1', '--peers', 'timm']
    tool(monkeypatch, *asked, '--start-up', '--json', str(record))
    rows = [line.split('|')[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert rows == ['ms', '---', 'timm', 'ours']
    found = json.loads(record.read_text())
    for ((*seconds,),) in found['processes'].values():
        assert len(seconds) == len(found['steps']) == 5 and min(seconds) > 0
