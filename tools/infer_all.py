"""Show what several trained networks, one for each task, find in the same images: one picture per image."""

from __future__ import annotations

import argparse

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.config import CODEBASES, ConfigError
from hrnet_mm.inference import Network
from hrnet_mm.inference.run import NetworkFiles, add_arguments, infer_by
from hrnet_mm.pictures.painter import LAYOUTS
from hrnet_mm.training.command_line import ToolParser, run_tool

TASKS = [codebase.task for codebase in CODEBASES.values()]


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=f'{__doc__} Top-down pose looks at the people that the detector finds.',
        epilog='example:\n  python tools/infer_all.py photos '
        '--pose configs/hrnetv1_w32_coco_256x192.py pose.pth '
        '--segmentation configs/hrnetv2_w48_cityscapes.py labels.pth '
        '--detection configs/hrnetv2p_w18_faster_rcnn_coco_1x.py boxes.pth',
    )
    parser.add_argument(
        'joint',
        nargs='*',
        metavar='JOINT.py CHECKPOINT',
        help='one network of several tasks, instead of one for each',
    )
    add_arguments(parser)
    for task in TASKS:
        parser.add_argument(
            f'--{task}',
            nargs='+',
            action=NetworkFiles,
            metavar='FILE',
            help=f'network for {task}: CONFIG and CHECKPOINT, or one word as for infer.py',
        )
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        default=LAYOUTS[0],
        help=f'the image beside one picture per task, or all on one (default: {LAYOUTS[0]})',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    how = {'device': args.device, 'fast': args.fast, 'dtype': args.dtype}
    given = {task: getattr(args, task) for task in TASKS if getattr(args, task)}
    networks = [Network(*files, key=f'--{task}', task=task, **how) for task, files in given.items()]
    if len(args.joint) not in (0, 1, 2):
        raise ConfigError(key='JOINT.py CHECKPOINT', value=args.joint, expected='a config and a checkpoint')
    if args.joint:
        networks.append(Network(*args.joint, **how))
    infer_by(args, networks)


if __name__ == '__main__':
    run_tool(main)
