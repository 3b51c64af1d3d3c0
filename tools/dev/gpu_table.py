"""Time HRNet beside the peers on a GPU, case by case, and write the table of docs/performance.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import torch
from benchmarking.report import MatchReport, Report, Row, in_mebibytes, in_milliseconds
from benchmarking.request import make_request
from benchmarking.run import benchmark

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import require_file
from hrnet_mm.training.command_line import ToolParser, run_tool
from hrnet_mm.utils import markdown_table

PAGE: Final = Path(__file__).parents[2] / 'docs' / 'performance.md'
_PLACE: Final = re.compile(r'(<!-- gpu table -->\n).*?(<!-- end of it -->)', re.DOTALL)
_FORMS: Final = {
    'infer': dict(forms=['plain', 'inference_form', 'without_graph'], peers=['PEER', 'PEER:graph']),
    'train': dict(forms=['plain', 'channels_last', 'graph'], peers=['PEER', 'PEER:channels_last']),
}
#: The cases of the table: what, mode, peer, architecture, size, batch, precision.
CASES: Final = (
    ('backbone', 'infer', 'mmpose', 'w32', (256, 192), 1, 'bf16'),
    ('backbone', 'infer', 'mmpose', 'w32', (256, 192), 64, 'bf16'),
    ('backbone', 'infer', 'mmpose', 'w32', (256, 192), 64, 'fp32'),
    ('backbone', 'infer', 'mmseg', 'w48', (512, 1024), 1, 'bf16'),
    ('backbone', 'infer', 'mmdet', 'w32', (800, 1344), 1, 'bf16'),
    ('hrfpn', 'infer', 'mmdet', 'w48', (200, 336), 2, 'bf16'),
    ('v2', 'infer', 'mmseg', 'w48', (128, 256), 1, 'bf16'),
    ('backbone', 'train', 'mmpose', 'w32', (256, 192), 32, 'bf16'),
    ('backbone', 'train', 'mmseg', 'w48', (512, 1024), 2, 'bf16'),
    ('backbone', 'train', 'mmdet', 'w18', (800, 1344), 2, 'bf16'),
    ('seg', 'train', 'mmseg', 'w18', (512, 1024), 4, 'bf16'),
)
#: HRNet-C beside ResNet-50, each in its best form.
CLASSIFIERS: Final = tuple(
    dict(what='cls', arch='w18', shape=(224, 224), batch=batch, precision='bf16',
         forms=['plain', 'inference_form'], peers=['timm', 'resnet50', 'resnet50:graph'])
    for batch in (1, 64)
)  # fmt: skip


def measure(*, rounds: int) -> list[Report]:
    """All cases, one after the other."""
    requests = []
    for what, mode, peer, arch, shape, batch, precision in CASES:
        forms = _FORMS[mode]
        necks = what in ('hrfpn', 'v2')
        peers = [peer] if necks else [name.replace('PEER', peer) for name in forms['peers']]
        request = dict(what=what, mode=mode, arch=arch, shape=shape, batch=batch, precision=precision)
        requests.append({**request, 'forms': forms['forms'], 'peers': peers})
    reports = []
    for request in [*requests, *CLASSIFIERS]:
        reports.append(benchmark(make_request(**request, device='cuda', rounds=rounds), progress=True))
        print(reports[-1].as_text(), flush=True)
    return reports


def table(reports: list[Report]) -> str:
    """One line for each case: the peer as users run it, and the fastest of its forms and of ours."""
    head = ['case', 'peer', 'its best form', 'ours as dropped in', 'ours, best form', 'peer / ours', 'memory']
    return markdown_table(head, [_line(report, match) for report in reports for match in report.matches])


def _line(report: Report, match: MatchReport) -> list[str]:
    request = report.request
    way = 'inference' if request.mode == 'infer' else 'training'
    ours = [row for row in match.rows if row.is_ours]
    theirs = [row for row in match.rows if not row.is_ours]
    eager, best, other = theirs[0], _fastest(ours), _fastest(theirs)
    case = f'{request.kind.title} {request.arch}, {way}, {request.size}, {request.precision}'
    memory = f'{in_mebibytes(best.peak)} / {in_mebibytes(eager.peak)} MiB'
    times = [f'{row.name} {in_milliseconds(row.samples.median)}' for row in (eager, other, ours[0], best)]
    return [case, *times, f'{eager.samples.median / best.samples.median:.2f}', memory]


def _fastest(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row.samples.median)


def main() -> None:
    parser = ToolParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=5, help='interleaved rounds (default: 5)')
    parser.add_argument('--json', metavar='FILE.json', help='write every sample there')
    parser.add_argument('--write', action='store_true', help='put the table into docs/performance.md')
    args = parser.parse_args()
    if not torch.cuda.is_available():
        raise ConfigError(key='device', value='cpu', expected='an NVIDIA GPU, torch sees none here')
    target = require_file(args.json, key='--json', ending='.json') if args.json else None
    reports = measure(rounds=args.rounds)
    machine: Any = reports[0].machine
    about = f'{machine["device"]}, torch {machine["versions"]["torch"]}, ms, medians of {args.rounds} rounds:'
    text = f'{about}\n\n{table(reports)}\n'
    print(text)
    if target:
        records = [report.as_record() for report in reports]
        target.write_text(json.dumps(records, indent=2) + '\n', encoding='utf-8')
    if args.write:
        page = PAGE.read_text(encoding='utf-8')
        PAGE.write_text(_PLACE.sub(rf'\1{text}\2', page), encoding='utf-8')


if __name__ == '__main__':
    run_tool(main)
