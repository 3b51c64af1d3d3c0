"""Write the config of one network for several tasks, by reference to the tasks' own configs."""

from __future__ import annotations

import argparse
from pathlib import Path

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.config import parse_options
from hrnet_mm.config.joining import joint_config_text
from hrnet_mm.training.command_line import ToolParser, run_tool
from hrnet_mm.utils import atomic_write


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/join_configs.py configs/hrnetv1_w32_coco_256x192.py '
        'mmdet::hrnet/fcos_hrnetv2p-w32-gn-head_4xb4-1x_coco.py -o joint.py',
    )
    parser.add_argument(
        'configs',
        nargs='+',
        metavar='[NAME=]CONFIG',
        help='a config with HRNetBackbone or HRNet; the name is that of its task where it is left out',
    )
    parser.add_argument('-o', '--out', required=True, metavar='JOINT.py', help='config to write')
    parser.add_argument('--iters', type=int, metavar='N', help='length of the run (default: the longest)')
    parser.add_argument(
        '--backbone',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings of the joint backbone that the configs differ in: upsample_cfg.mode=nearest',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    text = joint_config_text(args.configs, iterations=args.iters, backbone=parse_options(args.backbone))
    with atomic_write(Path(args.out)) as aside:
        aside.write_text(text, encoding='utf-8')
    print(f'written: {args.out}; python tools/train.py {args.out}')


if __name__ == '__main__':
    run_tool(main)
