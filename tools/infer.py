"""Show what a trained network finds in images, folders or videos: pose, segmentation, boxes or classes."""

from __future__ import annotations

import argparse

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.inference import Network
from hrnet_mm.inference.run import NetworkFiles, add_arguments, infer_by
from hrnet_mm.training.command_line import ToolParser, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/infer.py configs/hrnetv1_w32_coco_256x192.py pose.pth photos '
        '--detector configs/hrnetv2p_w18_faster_rcnn_coco_1x.py boxes.pth --json found.json',
    )
    parser.add_argument(
        'config',
        metavar='CONFIG',
        help='config of any of the four packages; alone, a checkpoint that carries its own, or a published '
        'model by name, as mmpose::td-hm_hrnet-w32_8xb64-210e_coco-256x192',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?', help='weights: a file or a URL')
    parser.add_argument(
        '--detector',
        nargs='+',
        action=NetworkFiles,
        metavar='FILE',
        help='what finds people for top-down pose: CONFIG and CHECKPOINT, or one word as above (default: '
        '--boxes, or else each image is one person)',
    )
    add_arguments(parser)
    return parser.parse_intermixed_args()  # options may stand before SOURCE without a CHECKPOINT


def main() -> None:
    args = parse_arguments()
    how = {'device': args.device, 'fast': args.fast, 'dtype': args.dtype}
    detector = Network(*args.detector, key='--detector', **how) if args.detector else None
    infer_by(args, [Network(args.config, args.checkpoint, **how)], detector=detector)


if __name__ == '__main__':
    run_tool(main)
