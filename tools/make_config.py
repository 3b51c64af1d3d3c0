"""Write a config for your own data, in a folder as it is: COCO files, label maps, or a folder per class."""

from __future__ import annotations

import argparse
import sys
import warnings

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.make_config import make_config
from hrnet_mm.models import NAMED_ARCHS
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/make_config.py data/mine --arch w18 -o my.py',
    )
    parser.add_argument('data', metavar='DATA', help='a folder, or a COCO annotation file')
    parser.add_argument(
        '--task', metavar='NAME', help='pose, seg, det or cls (default: what the folder is for)'
    )
    parser.add_argument(
        '--arch', default='w18', metavar='NAME', help=f'{", ".join(NAMED_ARCHS)} (default: w18)'
    )
    parser.add_argument(
        '-o', '--out', metavar='FILE.py', help='file to write (default: ./<folder>_<task>.py)'
    )
    parser.add_argument(
        '--weights',
        metavar='FILE',
        help='weights of the backbone; none: random (default: those of the config inherited)',
    )
    parser.add_argument('--force', action='store_true', help='write over a file that is there already')
    return parser.parse_args()


def main() -> None:
    warnings.filterwarnings('ignore')  # what the mm packages say of themselves
    args = parse_arguments()
    made = make_config(
        args.data, task=args.task, arch=args.arch, out=args.out, weights=args.weights, overwrite=args.force
    )
    print('\n'.join([*made.lines, f'written: {made.path}', '']), flush=True)
    report = made.check()
    print('\n'.join([*report.lines(), report.summary()]))
    print(f'memory of a training step: {made.memory()}')
    if report.is_damaged:
        sys.exit(1)
    print(f'\npython tools/train.py {made.path}  # to try it: --cfg-options train_cfg.max_epochs=1')


if __name__ == '__main__':
    run_tool(main)
