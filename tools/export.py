"""Export a config's model with its weights to ONNX or torch.export, checked against the model itself.

The file takes `images`, (N, C, H, W) in float32, normalised already: the tool prints how. It gives what
the head says, by name: heatmaps of pose, logits of segmentation at the head's own stride, scores of
classification before the softmax, scores and deltas of each level of a one-stage detector. A two-stage
detector is whole in ONNX (boxes, scores, labels, masks); in .pt2, or with parts that are not known, it holds
backbone, neck and RPN (features, rpn_scores and rpn_deltas of each level), and the tool says so. Of several
tasks, names begin with the task, as in pose/heatmaps.
"""

from __future__ import annotations

import argparse

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis import require_shape
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.export import export_model, require_target
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/export.py configs/hrnetv2_w48_cityscapes.py '
        'work_dirs/hrnetv2_w48_cityscapes/iter_80000.pth hrnetv2_w48.onnx --shape 512 1024 --dynamic',
    )
    parser.add_argument('config', metavar='CONFIG', help='config of any of the four packages')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='weights: a file or a URL')
    parser.add_argument('out', metavar='OUT', help='the file to write: .onnx, or .pt2 for torch.export')
    parser.add_argument(
        '--shape',
        nargs='+',
        metavar=('H', 'W'),
        help="height and width of the images (default: the config's, for detection 800 1216)",
    )
    parser.add_argument(
        '--dynamic',
        action='store_true',
        help='take any number of images of any size in multiples of 32 (.pt2: of the coarsest stride); three '
        'sizes are checked',
    )
    add_cfg_options(parser, example='model.backbone.arch=w18')
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    out = require_target(args.out)
    shape = require_shape(args.shape) if args.shape else None
    cfg = load_config(args.config, options=parse_options(args.cfg_options))
    print(export_model(cfg, args.checkpoint, out, shape=shape, dynamic=args.dynamic, progress=True))


if __name__ == '__main__':
    run_tool(main)
