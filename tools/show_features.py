"""Show what HRNet keeps in parallel: its streams after each stage as heat maps, in one figure.

Rows are streams (strides 4, 8, 16, 32), columns are stages, each after its fusion: what the next stage starts
from. A heat map is the root mean square over the stream's channels, from its own 1st to its own 99th
percentile. After the last stage only the streams that the head uses are there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis import require_shape
from hrnet_mm.config.files import require_file
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.pictures.features import show_features
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/show_features.py configs/hrnetv2_w48_cityscapes.py '
        'work_dirs/hrnetv2_w48_cityscapes/iter_80000.pth street.jpg --out features.png',
    )
    parser.add_argument('config', metavar='CONFIG', help='config of any of the four packages')
    parser.add_argument(
        'checkpoint', metavar='CHECKPOINT', nargs='?', help='weights: a file or a URL (default: random ones)'
    )
    parser.add_argument('image', metavar='IMAGE', help='the picture')
    parser.add_argument('--out', metavar='FILE.png', help='default: <name of the picture>_features.png')
    parser.add_argument(
        '--shape', nargs='+', metavar=('H', 'W'), help='resize the picture first (default: as it is)'
    )
    add_cfg_options(parser, example='model.backbone.arch=w18')
    return parser.parse_intermixed_args()  # options may stand before an IMAGE without a CHECKPOINT


def main() -> None:
    args = parse_arguments()
    out = require_file(args.out or f'{Path(args.image).stem}_features.png', key='--out', ending='.png')
    shape = require_shape(args.shape) if args.shape else None
    cfg = load_config(args.config, options=parse_options(args.cfg_options))
    print(f'written: {show_features(cfg, args.image, out, checkpoint=args.checkpoint, shape=shape)}')


if __name__ == '__main__':
    run_tool(main)
