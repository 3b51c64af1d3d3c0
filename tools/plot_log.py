"""Draw losses, learning rates and metrics of training runs from the logs in their work folders."""

from __future__ import annotations

import argparse

from hrnet_mm.pictures.curves import plot_logs
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='A resumed run has several logs: a later one replaces what earlier ones have from its first\n'
        'iteration on.\n\n'
        'example:\n  python tools/plot_log.py work_dirs/hrnetv2_w48_cityscapes --keys loss mIoU',
    )
    parser.add_argument('work_dirs', metavar='WORK_DIR', nargs='+', help='work folders, a colour for each')
    parser.add_argument(
        '--keys',
        metavar='KEY',
        nargs='+',
        help='what to draw, a panel for each (default: loss, lr and every metric of validation)',
    )
    parser.add_argument('--out', metavar='FILE.png', default='curves.png', help='default: curves.png')
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    runs, keys = plot_logs(args.work_dirs, out=args.out, keys=args.keys)
    for run in runs:
        print(run.summary())
    print(f'{args.out}: {", ".join(keys)}')


if __name__ == '__main__':
    run_tool(main)
