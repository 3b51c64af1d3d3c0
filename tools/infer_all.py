"""Show what several trained networks, one for each task, find in the same images: one picture per image."""

from __future__ import annotations

import argparse

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.inference import TASKS, NetworkFiles, infer
from hrnet_mm.inference.command_line import add_boxes, add_settings, add_source, settings_of, tell
from hrnet_mm.pictures.painter import LAYOUTS
from hrnet_mm.training.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=f'{__doc__} Top-down pose looks at the people that the detector finds.',
        epilog='example:\n  python tools/infer_all.py photos '
        '--pose configs/hrnetv1_w32_coco_256x192.py pose.pth '
        '--segmentation configs/hrnetv2_w48_cityscapes.py labels.pth '
        '--detection configs/hrnetv2p_w18_faster_rcnn_coco_1x.py boxes.pth',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source(parser)
    for task in TASKS.values():
        parser.add_argument(
            f'--{task}', nargs=2, metavar=('CONFIG', 'CHECKPOINT'), help=f'network for {task}'
        )
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        default=LAYOUTS[0],
        help=f'the image beside one picture per task, or all on one (default: {LAYOUTS[0]})',
    )
    add_boxes(parser)
    add_settings(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    given = {task: getattr(args, task) for task in TASKS.values() if getattr(args, task)}
    networks = [NetworkFiles(*files, key=f'--{task}', task=task) for task, files in given.items()]
    tell(infer(args.source, networks, settings=settings_of(args), boxes=args.boxes))


if __name__ == '__main__':
    run_tool(main)
