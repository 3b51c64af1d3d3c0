"""Time HRNet beside the peers' networks with the same weights, once their outputs are seen to agree."""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from functools import partial

from benchmarking.chart import draw_chart
from benchmarking.growth import AXES, draw_growth, growth_as_text, growth_record, measure_growth
from benchmarking.request import DEVICES, KINDS, MEMORY, MODES, PRECISIONS, make_request
from benchmarking.results import write_record
from benchmarking.run import benchmark
from benchmarking.start_up import measure_start_up, start_up_as_text, start_up_record
from benchmarking.table import as_text

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import require_file
from hrnet_mm.training.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    defaults = '\n'.join(
        f'  {name:<9} {kind.title}: {kind.arch}, {"x".join(map(str, kind.shape))}, batch {kind.batch}, '
        f'against {", ".join((*kind.peers, *kind.marks))}'
        for name, kind in KINDS.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'what, and the defaults:\n{defaults}\n\nexamples:\n'
        '  python tools/dev/benchmark.py --what backbone --peers mmpose openvino --json w32.json\n'
        '  python tools/dev/benchmark.py --what hrfpn --mode train --png hrfpn.png\n'
        '  python tools/dev/benchmark.py --what cls --batch 1 --peers mmpretrain resnet50 resnet50:compiled',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--what', required=True, metavar='WHAT', help=f'one of {", ".join(KINDS)}')
    parser.add_argument(
        '--mode', default='infer', metavar='MODE', help=f'{" or ".join(MODES)} (default: infer)'
    )
    parser.add_argument(
        '--device', default='cpu', metavar='DEVICE', help=f'{" or ".join(DEVICES)} (default: cpu)'
    )
    parser.add_argument('--arch', metavar='NAME', help='architecture, as in w32')
    parser.add_argument(
        '--shape', nargs='+', metavar=('H', 'W'), help="of the image, for necks of the finest stream's map"
    )
    parser.add_argument('--batch', metavar='N', help='images in a run')
    parser.add_argument(
        '--precision', default='fp32', metavar='P', help=f'one of {", ".join(PRECISIONS)} (default: fp32)'
    )
    parser.add_argument('--threads', metavar='N', help="threads on the CPU (default: torch's)")
    parser.add_argument('--rounds', default=7, metavar='N', help='interleaved rounds (default: 7)')
    parser.add_argument(
        '--forms', nargs='+', metavar='FORM', help='forms of ours, as in plain inference_form compiled'
    )
    parser.add_argument(
        '--peers',
        nargs='+',
        metavar='PEER[:FORM]',
        help="whom ours meets: packages, onnxruntime and openvino (on the packages' exported networks), "
        'resnet50; plain or as in mmpose:compiled, resnet50:channels_last, resnet50:openvino',
    )
    parser.add_argument(
        '--memory',
        default='tensors',
        metavar='HOW',
        help=f'one of {", ".join(MEMORY)}: live tensors, or the growth of a process per contestant '
        '(default: tensors)',
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        '--growth',
        metavar='AXIS',
        help=f'the benchmark at this size and at four doublings of the {" or the ".join(AXES)}',
    )
    other.add_argument(
        '--start-up',
        action='store_true',
        help='import, build and first forward pass of the backbones, in processes of their own',
    )
    parser.add_argument('--json', metavar='FILE.json', help='write every sample there')
    parser.add_argument('--png', metavar='FILE.png', help='draw a chart there')
    return parser.parse_args()


def main() -> None:
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')  # mmengine looks paths up by it
    args = vars(parse_arguments())
    json_file, png_file = args.pop('json'), args.pop('png')
    axis, start_up = args.pop('growth'), args.pop('start_up')
    target = require_file(json_file, key='--json', ending='.json') if json_file else None
    picture = require_file(png_file, key='--png', ending='.png') if png_file else None
    if start_up and png_file:
        raise ConfigError(key='--png', value=png_file, expected='none with --start-up, which draws nothing')
    request = make_request(**args)
    command = shlex.join(['python', 'tools/dev/benchmark.py', *sys.argv[1:]])
    if start_up:
        started = measure_start_up(request, progress=True)
        text, record, draw = start_up_as_text(started), start_up_record(started), None
    elif axis:
        growth = measure_growth(request, axis=axis, command=command, progress=True)
        text, record, draw = (
            growth_as_text(growth),
            growth_record(growth),
            partial(draw_growth, growth=growth),
        )
    else:
        report = benchmark(request, command=command, progress=True)
        text, record, draw = as_text(report), report.as_record(), partial(draw_chart, report=report)
    print(text)
    if target:
        write_record(target, {'command': command} | record)
    if picture and draw:
        draw(picture)


if __name__ == '__main__':
    run_tool(main)
