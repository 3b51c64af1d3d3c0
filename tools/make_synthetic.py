"""Draw the embedded data set: street scenes with people and cars, in COCO and Cityscapes layout."""

from __future__ import annotations

import argparse

from hrnet_mm.demo import generate
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example: python tools/make_synthetic.py data/synthetic --train 300 --val 60',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('root', help='folder to write to')
    parser.add_argument('--train', type=int, default=300, help='number of training scenes')
    parser.add_argument('--val', type=int, default=60, help='number of validation scenes')
    parser.add_argument('--size', type=int, nargs=2, default=(192, 320), metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--seed', type=int, default=0, help='the same seed draws the same bytes')
    parser.add_argument('--people', type=int, nargs=2, default=(1, 6), metavar=('LEAST', 'MOST'))
    parser.add_argument('--overwrite', action='store_true', help='replace what was drawn here before')
    parser.add_argument('--quiet', action='store_true', help='show no progress bar')
    return parser.parse_args()


def main() -> None:
    arguments = vars(parse_arguments())
    quiet = arguments.pop('quiet')
    is_new = generate(**arguments, progress=not quiet)
    print(f'{"drawn" if is_new else "already drawn"}: {arguments["root"]}')


if __name__ == '__main__':
    run_tool(main, mistakes=(ValueError, FileExistsError))
