"""Show what a trained network finds in images, folders or videos: pose, segmentation, boxes or classes."""

from __future__ import annotations

import argparse

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.inference import Network
from hrnet_mm.inference.run import add_arguments, infer_by
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/infer.py configs/hrnetv1_w32_coco_256x192.py pose.pth photos '
        '--detector configs/hrnetv2p_w18_faster_rcnn_coco_1x.py boxes.pth --json found.json',
    )
    parser.add_argument('config', metavar='CONFIG', help='config of any of the four packages')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='weights: a file or a URL')
    parser.add_argument(
        '--detector',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='where top-down pose finds people (default: --boxes, or else each image is one person)',
    )
    add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    how = {'device': args.device, 'fast': args.fast}
    detector = Network(*args.detector, key='--detector', **how) if args.detector else None
    infer_by(args, [Network(args.config, args.checkpoint, **how)], detector=detector)


if __name__ == '__main__':
    run_tool(main)
