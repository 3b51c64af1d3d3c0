"""Train HRNet and the networks that its papers compare it with side by side, test and time them.

All start from random weights and see the same images in the same order, by the same pipeline and schedule. A
race that was broken off goes on where it was when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from racing.networks import TASKS
from racing.race import run_race
from racing.report import write_report
from racing.request import Race

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    names = '\n'.join(
        f'  {name:<14} {", ".join(each.name for each in task.networks)}' for name, task in TASKS.items()
    )
    parser = ToolParser(
        description=__doc__,
        epilog=f'networks:\n{names}\n\nexample:\n'
        '  python tools/dev/relatives.py segmentation --data data/camvid --device cuda --amp',
    )
    add = parser.add_argument
    add('task', metavar='TASK', help=', '.join(TASKS))
    about = 'drawn data (tools/make_synthetic.py), or any folder that tools/make_config.py reads'
    add('--data', required=True, type=Path, metavar='ROOT', help=about)
    add('--out', type=Path, metavar='DIR', help='folder to write to (default: ./races/TASK)')
    budget = parser.add_mutually_exclusive_group()
    about = 'steps of training of each network (default: 400)'
    budget.add_argument('--budget-iters', dest='iterations', type=int, metavar='N', help=about)
    about = 'minutes of training of each network'
    budget.add_argument('--budget-minutes', dest='minutes', type=float, metavar='M', help=about)
    about = 'small: for a CPU; full: as in the papers (default: small on a CPU, full on a GPU)'
    add('--width', metavar='WIDTH', help=about)
    add('--only', nargs='+', default=(), metavar='NAME', help='these networks alone')
    add('--ablation', action='store_true', help="the papers' variants of HRNet instead")
    add('--device', default='cpu', choices=('cpu', 'cuda'), help='default: cpu')
    add('--amp', action='store_true', help='train in bfloat16, on a GPU')
    add('--batch', type=int, metavar='N', help="images a step (default: as the data's recipe has)")
    add('--rate', type=float, metavar='R', help="HRNet's learning rate, the others' in proportion")
    about = 'factor on the size of images and crops (default: 1)'
    add('--resolution', type=float, default=1.0, metavar='F', help=about)
    about = 'processes that load data (default: one less than cores, at most 12)'
    add('--workers', type=int, metavar='N', help=about)
    add('--seed', type=int, default=0, metavar='N', help='of weights and order (default: 0)')
    return parser.parse_args()


def main() -> None:
    args = vars(parse_arguments())
    args.pop('traceback', None)
    on_gpu = args['device'] == 'cuda'
    if not on_gpu:
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # MMEngine takes what GPU there is
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    defaults = dict(
        out=Path('races') / args['task'],
        width='full' if on_gpu else 'small',
        workers=min(12, max(1, cores - 1)),
    )
    given = {key: value for key, value in args.items() if value is not None}
    race = Race(**defaults | given)
    standings = run_race(race)
    files = write_report(
        race, standings, command=shlex.join(['python', 'tools/dev/relatives.py', *sys.argv[1:]])
    )
    print(files[0].read_text(encoding='utf-8'))
    print('\n'.join(f'written: {file}' for file in files))
    if standings.failed:
        sys.exit(f'error: not finished: {", ".join(standings.failed)}')


if __name__ == '__main__':
    run_tool(main)
