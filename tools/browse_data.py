"""Draw what a config's pipeline feeds the network: images as they are trained on, with their annotations."""

from __future__ import annotations

import argparse
import sys
import warnings

import hrnet_mm  # noqa: F401  registers our transforms
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.pictures.browse import SPLITS, browse_samples
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool

#: What the mm packages say of themselves, nothing of the data.
_NOISE = ('The metainfo config file', 'The shape of value will convert')


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='Images are drawn behind the data preprocessor, with its normalisation undone. Exit code 1:\n'
        'a sample could not be read.\n\n'
        'example:\n  python tools/browse_data.py configs/hrnetv1_w32_coco_256x192.py --data-root data/coco',
    )
    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument(
        '--data-root', metavar='DIR', help="folder of the data, instead of the config's data_root"
    )
    add_cfg_options(parser, example='train_dataloader.dataset.ann_file=mine.json')
    parser.add_argument(
        '--count', metavar='N', type=int, default=16, help='samples, spread over the data (default: 16)'
    )
    parser.add_argument('--split', choices=SPLITS, default='train', help='which data (default: train)')
    parser.add_argument(
        '--out-dir',
        metavar='DIR',
        help='folder for the pictures (default: samples/<split> in ./work_dirs/<name of the config>)',
    )
    return parser.parse_args()


def main() -> None:
    for message in _NOISE:
        warnings.filterwarnings('ignore', message=message)
    args = parse_arguments()
    cfg = load_config(args.config, options=parse_options(args.cfg_options), data_root=args.data_root)
    browsed = browse_samples(cfg, split=args.split, count=args.count, out_dir=args.out_dir)
    print(browsed.summary())
    if browsed.sheet:
        print(f'contact sheet: {browsed.sheet}')
    if browsed.failures:
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
