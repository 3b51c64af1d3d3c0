"""From the command line to table, JSON and chart, at sizes that take seconds."""

from __future__ import annotations

import json
import runpy
import statistics
import sys
from pathlib import Path

import pytest
import torch
from benchmarking.request import make_request
from benchmarking.run import benchmark
from benchmarking.table import as_text
from children import in_child

ROOT = Path(__file__).resolve().parents[3]
TINY = ['--arch', 'w18_small_v1', '--batch', '1', '--threads', '1']


def tool(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, 'argv', ['tools/dev/benchmark.py', *arguments])
    runpy.run_path(str(ROOT / 'tools' / 'dev' / 'benchmark.py'), run_name='__main__')


def test_backbone_inference(monkeypatch, capsys, tmp_path) -> None:
    record_file, chart = tmp_path / 'new' / 'b.json', tmp_path / 'b.png'
    asked = ['--what', 'backbone', '--shape', '64', '64', '--rounds', '2', *TINY]
    asked += ['--forms', 'plain', 'inference_form', '--peers', 'mmpose', 'onnxruntime', 'openvino']

    def printed() -> tuple[str, str]:
        tool(monkeypatch, *asked, '--json', str(record_file), '--png', str(chart))
        out, err = capsys.readouterr()
        return out, err

    names = ['mmpose', 'mmpose onnxruntime', 'mmpose openvino', 'ours', 'ours inference_form']
    # a process in which OpenVINO ran may be ended by a signal once it starts data workers
    out, err = in_child(printed, seconds=300)
    rows = [line for line in out.splitlines() if line.startswith('|')]
    assert [row.split('|')[1].strip() for row in rows[2:]] == names
    assert rows[0].split('|')[-2].strip() == 'mmpose openvino / this'
    assert 'timing against mmpose' in err and 'memory: 100%' in err
    assert chart.read_bytes().startswith(b'\x89PNG')

    record = json.loads(record_file.read_text())
    assert record['command'].startswith('python tools/dev/benchmark.py --what backbone')
    assert record['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
    assert record['machine']['cpus'] >= 1
    assert record['request']['shape'] == [64, 64]
    assert record['rate']['macs_per_second'] == max(record['rate']['all'].values())
    (match,) = record['matches']
    found = {row['name']: row for row in match['contestants']}
    assert list(found) == names
    for name, row in found.items():
        assert len(row['seconds']) == 2 and min(row['seconds']) > 0
        assert row['median'] == pytest.approx(statistics.median(row['seconds']))
        assert row['macs'] == found['mmpose']['macs'] > 1e6
        reached = row['macs'] / row['median'] / record['rate']['macs_per_second']
        assert row['share_of_rate'] == pytest.approx(reached)
        ratio = row['ratios']['mmpose']['value']
        assert ratio == pytest.approx(found['mmpose']['median'] / row['median'])
        assert list(row['ratios']) == names[:3]
        assert (row['compared_with'], row['is_ours']) == (
            None if name == 'mmpose' else 'mmpose',
            name.startswith('ours'),
        )
        assert name == 'mmpose' or row['largest_relative_error'] <= 1e-4
    weights = 4 * 1.2e6
    assert found['ours']['peak_bytes'] > weights
    assert found['mmpose openvino']['peak_bytes'] is None


def test_hrfpn_training(monkeypatch, tmp_path) -> None:
    record_file = tmp_path / 'h.json'
    asked = ['--what', 'hrfpn', '--mode', 'train', '--shape', '16', '16', '--rounds', '2', *TINY]
    tool(monkeypatch, *asked, '--forms', 'plain', 'channels_last', 'bf16', '--json', str(record_file))
    (match,) = json.loads(record_file.read_text())['matches']
    found = {row['name']: row for row in match['contestants']}
    assert list(found) == ['mmdet', 'ours', 'ours channels_last', 'ours bf16']
    assert [row['precision'] for row in found.values()] == ['fp32', 'fp32', 'fp32', 'bf16']
    # 240 channels to 256 once, and five 3x3 convolutions on maps of 16, 8, 4, 2, 1 pixels, thrice each
    by_hand = 3 * (240 * 256 * 256 + 9 * 256 * 256 * (256 + 64 + 16 + 4 + 1))
    assert found['mmdet']['macs'] == by_hand
    assert found['ours']['macs'] < by_hand  # it convolves streams before it enlarges them


@pytest.mark.parametrize(('mode', 'batch'), [('infer', 1), ('train', 2)])
@pytest.mark.parametrize(
    ('what', 'peers', 'size'),
    [
        ('v2', ['mmseg'], 16),
        ('backbone', ['timm', 'mmdet'], 64),
        pytest.param('pose', ['mmpose'], 64, marks=pytest.mark.slow),
        pytest.param('seg', ['mmseg'], 64, marks=pytest.mark.slow),
        pytest.param('det', ['mmdet'], 128, marks=pytest.mark.slow),
        pytest.param('cls', ['mmpretrain', 'timm', 'resnet50:channels_last'], 64, marks=pytest.mark.slow),
    ],
)
def test_every_kind_agrees_and_is_timed(what, peers, size, mode, batch) -> None:
    request = make_request(
        what=what, mode=mode, arch='w18_small_v1', shape=[size, size], batch=batch, peers=peers,
        rounds=1, threads=1, forms=['plain', 'inference_form' if mode == 'infer' else 'bf16'],
    )  # fmt: skip
    report = benchmark(request)
    assert {match.name for match in report.matches} == {peer for peer in peers if peer in request.kind.peers}
    for match in report.matches:
        ours = [row.name for row in match.rows if row.is_ours]
        assert ours == ['ours', 'ours inference_form' if mode == 'infer' else 'ours bf16']
        assert all(row.peak and row.peak > 1e5 for row in match.rows)
        assert all(row.macs > 1e6 for row in match.rows)
    assert request.kind.title in as_text(report)


@pytest.mark.slow
def test_the_compiler_and_low_precision() -> None:
    compiled = make_request(
        what='hrfpn', arch='w18_small_v1', shape=[16, 16], rounds=1, threads=1, forms=['compiled'],
        peers=['mmdet'],
    )  # fmt: skip
    (match,) = benchmark(compiled).matches
    assert [row.name for row in match.rows] == ['mmdet', 'ours compiled']
    assert match.rows[1].peak is None
    halved = make_request(
        what='backbone', arch='w18_small_v1', shape=[64, 64], rounds=1, threads=1, precision='bf16',
        forms=['plain', 'inference_form'], peers=['mmpretrain'],
    )  # fmt: skip
    (match,) = benchmark(halved).matches
    assert all(row.precision == 'bf16' and row.against == 'mmpretrain' for row in match.rows)
    assert all(0 < row.error < 0.1 for row in match.rows)


def test_threads_are_those_of_before_afterwards() -> None:
    before = torch.get_num_threads()
    request = make_request(
        what='hrfpn', arch='w18_small_v1', shape=[16, 16], rounds=1, threads=before + 1, forms=['plain'],
        peers=['mmdet'], memory='none',
    )  # fmt: skip
    report = benchmark(request)
    assert torch.get_num_threads() == before
    assert f'{before + 1} threads' in as_text(report)
    assert all(row.peak is None for row in report.matches[0].rows)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--what', 'backbone', '--arch', 'w33'], "error: --arch = 'w33': expected one of"),
        (['--what', 'hrfpn', '--json', 'x.txt'], "error: --json = 'x.txt': expected a file name"),
        (
            ['--what', 'hrfpn', '--png', 'x.jpg'],
            "error: --png = 'x.jpg': expected a file name ending in .png",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(monkeypatch, capsys, arguments, message) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool(monkeypatch, *arguments)
    assert stopped.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(message) and err.count('\n') == 1
