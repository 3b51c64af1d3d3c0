"""Time HRNet beside the peers' networks with the same weights, once their outputs are seen to agree."""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from benchmarking.request import FORMS, KINDS, PRECISIONS, make_request
from benchmarking.run import benchmark
from benchmarking.start_up import STEPS, measure_start_up, start_up_as_text

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis import require_shape
from hrnet_mm.config.files import require_file
from hrnet_mm.models.arch import NAMED_ARCHS
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    defaults = '\n'.join(
        f'  {name:<9} {kind.title}: {kind.arch}, {"x".join(map(str, kind.shape))}, batch {kind.batch}, '
        f'against {", ".join(filter(None, (*kind.peers, kind.mark)))}'
        for name, kind in KINDS.items()
    )
    parser = ToolParser(
        description=__doc__,
        epilog=f'what, and the defaults:\n{defaults}\n\nexamples:\n'
        '  python tools/dev/benchmark.py --what backbone --peers mmpose openvino --json w32.json\n'
        '  python tools/dev/benchmark.py --what hrfpn --mode train\n'
        '  python tools/dev/benchmark.py --what cls --batch 1 --peers mmpretrain resnet50 resnet50:compiled',
    )

    def positive(text: str) -> int:
        if not text.isdecimal() or int(text) < 1:
            raise argparse.ArgumentTypeError(f'{text!r}: expected a whole number from 1 up')
        return int(text)

    add = parser.add_argument
    add('--what', required=True, choices=KINDS)
    add('--mode', default='infer', choices=('infer', 'train'), help='default: infer')
    add('--device', default='cpu', choices=('cpu', 'cuda'), help='default: cpu')
    add('--arch', choices=NAMED_ARCHS)
    about = "of the image, for necks of the finest stream's map"
    add('--shape', nargs='+', metavar=('H', 'W'), help=about)
    add('--batch', type=positive, metavar='N', help='images in a run')
    add('--precision', default='fp32', choices=PRECISIONS, help='default: fp32')
    add('--threads', type=positive, metavar='N', help="threads on the CPU (default: torch's)")
    add('--rounds', default=7, type=positive, metavar='N', help='interleaved rounds (default: 7)')
    add('--forms', nargs='+', metavar='FORM', help=f'forms of ours, among {", ".join(FORMS)}')
    about = "whom ours meets, as in timm or mmpose:compiled; a form alone, as in openvino, is every peer's"
    add('--peers', nargs='+', metavar='PEER[:FORM]', help=about)
    about = 'import, build and first forward pass of the backbones, in processes of their own'
    add('--start-up', action='store_true', help=about)
    add('--json', metavar='FILE.json', help='write every sample there')
    return parser.parse_args()


def main() -> None:
    args = vars(parse_arguments())
    json_file, start_up, shape = (args.pop(key) for key in ('json', 'start_up', 'shape'))
    target = require_file(json_file, key='--json', ending='.json') if json_file else None
    request = make_request(**args, shape=require_shape(shape) if shape else None)
    command = shlex.join(['python', 'tools/dev/benchmark.py', *sys.argv[1:]])
    if start_up:
        processes = measure_start_up(request, progress=True)
        text = start_up_as_text(processes)
        record = {'command': command, 'steps': STEPS, 'processes': processes}
    else:
        report = benchmark(request, progress=True, command=command)
        text, record = report.as_text(), report.as_record()
    print(text)
    if target:
        target.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
    run_tool(main)
