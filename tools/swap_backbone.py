"""Put an HRNet under the model of any mmdet, mmseg, mmpose or mmpretrain config."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.models import NAMED_ARCHS
from hrnet_mm.swap import NECKS, SwapRefused, swap_config
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/swap_backbone.py mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py '
        '--arch w32 --necks hrfpn -o faster_rcnn_hrnet.py',
    )
    parser.add_argument(
        'config', metavar='CONFIG', help="config file, or one that a package was installed with: 'mmdet::...'"
    )
    parser.add_argument('--arch', required=True, metavar='NAME', help=', '.join(NAMED_ARCHS))
    parser.add_argument(
        '--necks',
        default='keep',
        metavar='NAME',
        help=f'{", ".join(NECKS)}: keep the neck, put HRFPN in its place, or gather all streams by '
        'HRNetV2Neck (default: keep)',
    )
    parser.add_argument(
        '-o', '--out', metavar='OUT.py', help='file to write (default: ./<CONFIG>_hrnet_<NAME>.py)'
    )
    parser.add_argument('--force', action='store_true', help='write over a file that is there already')
    parser.add_argument(
        '--no-proof', action='store_true', help='build the new model, but do not run it before writing'
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    out = arguments.out or f'{Path(arguments.config).stem}_hrnet_{arguments.arch}.py'
    try:
        swap = swap_config(
            arguments.config,
            arch=arguments.arch,
            necks=arguments.necks,
            out=out,
            overwrite=arguments.force,
            proof=not arguments.no_proof,
        )
    except SwapRefused as refusal:
        print(f'refused: {refusal}; nothing was written', file=sys.stderr)
        sys.exit(2)
    print(f'{swap.summary}\n\nwritten: {out}')


if __name__ == '__main__':
    run_tool(main)
