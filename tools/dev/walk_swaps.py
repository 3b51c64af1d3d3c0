"""Swap every config that mmdet, mmseg, mmpose and mmpretrain ship onto HRNet, and prove that each model runs.

Each distinct model runs forward, a loss with its backward pass, and a prediction, on small random images.
Exits 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys

from walking.outcomes import count, results_page, results_table, write_outcomes
from walking.walk import names_to_walk, walk

from hrnet_mm.config.codebases import CODEBASES
from hrnet_mm.config.files import require_file
from hrnet_mm.models import NAMED_ARCHS
from hrnet_mm.swap import NECKS, SwapRequest
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/dev/walk_swaps.py --tenth --workers 2',
    )
    parser.add_argument('--packages', nargs='+', choices=list(CODEBASES), default=list(CODEBASES))
    parser.add_argument('--arch', choices=NAMED_ARCHS, default='w18_small_v1', metavar='ARCH')
    parser.add_argument('--necks', choices=NECKS, default='keep')
    parser.add_argument('--tenth', action='store_true', help='every tenth config alone')
    parser.add_argument('--only', default='', metavar='TEXT', help='configs with this in their name alone')
    parser.add_argument('--workers', type=int, default=2, metavar='N', help='processes (default: 2)')
    parser.add_argument('--limit', type=float, default=300.0, metavar='S', help='seconds for one proof')
    parser.add_argument('--json', metavar='FILE.json', help='write every outcome')
    parser.add_argument('--markdown', metavar='FILE.md', help='write the page of results')
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    record = require_file(args.json, key='--json', ending='.json') if args.json else None
    page = require_file(args.markdown, key='--markdown', ending='.md') if args.markdown else None
    names = [name for name in names_to_walk(args.packages, tenth=args.tenth) if args.only in name]
    request = SwapRequest(arch=args.arch, necks=args.necks)
    outcomes = walk(names, request, workers=args.workers, limit_s=args.limit, progress=True)
    print(results_table(outcomes))
    if record:
        write_outcomes(record, outcomes, arch=args.arch)
    if page:
        page.write_text(results_page(outcomes, request), encoding='utf-8')
    sys.exit(1 if count(outcomes, 'failed') else 0)


if __name__ == '__main__':
    run_tool(main)
