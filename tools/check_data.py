"""Check a config's data sets before training: every annotation, image and label map."""

from __future__ import annotations

import argparse
import json
import sys
import warnings

import hrnet_mm  # noqa: F401  registers our data sets
from hrnet_mm.config.files import require_file
from hrnet_mm.config.joint import of_task, task_configs
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.data import SPLITS, check_datasets
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='Findings are grouped by kind, the worst first. Exit code 1: something would stop a run, or\n'
        'be left out of it.\n\n'
        'example:\n  python tools/check_data.py configs/hrnetv2_w48_cityscapes.py --split train --workers 8',
    )
    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument('--split', choices=sorted(SPLITS), default='all', help='which data (default: all)')
    parser.add_argument(
        '--data-root', metavar='DIR', help="folder of the data, instead of the config's data_root"
    )
    add_cfg_options(parser, example='train_dataloader.dataset.ann_file=mine.json')
    parser.add_argument('--json', metavar='FILE.json', help='write all findings there')
    parser.add_argument(
        '--workers', metavar='N', type=int, default=2, help='processes that decode; 0: none (default: 2)'
    )
    parser.add_argument(
        '--limit-pixels',
        metavar='N',
        type=int,
        help="refuse to decode larger images (default: the config's max_image_pixels, or else PIL's limit)",
    )
    return parser.parse_args()


def main() -> None:
    warnings.filterwarnings('ignore')  # what the mm packages say of themselves
    args = parse_arguments()
    options = parse_options(args.cfg_options)
    if args.limit_pixels is not None:
        options['max_image_pixels'] = args.limit_pixels
    cfg = load_config(args.config, options=options, data_root=args.data_root)
    target = require_file(args.json, key='--json', ending='.json') if args.json else None
    reports = {}
    for task, view in task_configs(cfg).items():
        with of_task(task):
            reports[task] = report = check_datasets(view, split=args.split, workers=args.workers)
        heading = [f'task {task}'] if task else []
        print('\n'.join([*heading, *report.lines(), report.summary()]))
    if target is not None:
        found = {task: report.as_dict() for task, report in reports.items()}
        target.write_text(json.dumps(found.get('', found), indent=1), encoding='utf-8')
    if any(report.is_damaged for report in reports.values()):
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
