"""The table of a GPU, made of reports that were not measured on one."""

from __future__ import annotations

import gpu_table
from benchmarking.report import MatchReport, Report, Row
from benchmarking.request import Request
from benchmarking.timer import Samples

REQUEST = Request(
    what='backbone',
    mode='infer',
    device='cuda',
    arch='w32',
    shape=(256, 192),
    batch=1,
    precision='bf16',
    threads=1,
    rounds=1,
    forms={},
)


def row(name: str, seconds: float) -> Row:
    return Row(name, name.startswith('ours'), 'bf16', Samples((seconds,)), 2**20, None)


def test_a_line_has_the_fastest_of_each_side():
    names = {'mmpose': 0.03, 'mmpose graph': 0.004, 'ours': 0.032, 'ours inference_form': 0.001}
    match = MatchReport('mmpose', tuple(row(*item) for item in names.items()))
    line = gpu_table.table([Report('', '', {}, REQUEST, (match,))]).splitlines()[-1]
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    assert cells[1:] == [
        'mmpose 30',
        'mmpose graph 4',
        'ours 32',
        'ours inference_form 1',
        '30.00',
        '1 / 1 MiB',
    ]


def test_the_page_has_a_place_for_it():
    assert gpu_table._PLACE.search(gpu_table.PAGE.read_text(encoding='utf-8'))
