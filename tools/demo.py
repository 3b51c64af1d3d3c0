"""Train, test and show one small HRNet for pose, segmentation and detection on drawn street scenes."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import hrnet_mm  # noqa: F401  registers the models
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import require_folder
from hrnet_mm.demo import DEMO_TASKS, run_demo
from hrnet_mm.demo.run import format_results, run_joint_demo
from hrnet_mm.training.command_line import ToolParser, run_tool


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive whole number')
    return int(text)


def main() -> None:
    parser = ToolParser(
        description=__doc__, epilog='example: python tools/demo.py --tasks pose --out demo_output'
    )
    parser.add_argument('--out', default='demo_output', help='folder for data, checkpoints and pictures')
    parser.add_argument('--tasks', nargs='+', choices=[t.name for t in DEMO_TASKS], help='default: all')
    parser.add_argument('--train', type=_positive, default=600, help='number of training scenes')
    parser.add_argument('--val', type=_positive, default=48, help='number of validation scenes')
    parser.add_argument('--seed', type=int, default=0, help='seed of the scenes')
    parser.add_argument('--iterations', type=_positive, help="of each training; default: the configs'")
    parser.add_argument('--joint', action='store_true', help='one network for the three tasks together')
    args = parser.parse_args()
    if args.joint and args.tasks:
        raise ConfigError(key='--tasks', value=args.tasks, expected='none with --joint, which trains all')

    require_folder(args.out, key='--out')
    start = time.perf_counter()
    how = {
        'config_dir': Path(__file__).resolve().parent.parent / 'configs',
        'train': args.train,
        'val': args.val,
        'seed': args.seed,
        'iterations': args.iterations,
    }
    if args.joint:
        print(f'\n{format_results(run_joint_demo(args.out, **how))}')
        return
    tasks = [t for t in DEMO_TASKS if args.tasks is None or t.name in args.tasks]
    results, overview = run_demo(args.out, tasks=tasks, **how)
    print()
    print(format_results(results))
    print(f'\ntotal {time.perf_counter() - start:.0f} s; predictions beside the truth: {overview}')


if __name__ == '__main__':
    run_tool(main)
