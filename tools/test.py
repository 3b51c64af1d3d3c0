"""Evaluate a checkpoint of a config of mmpose, mmseg, mmdet or mmpretrain."""

from __future__ import annotations

import argparse

from mmengine.dist import is_main_process

import hrnet_mm  # noqa: F401  registers our models, and lets torch read MMEngine's checkpoints
from hrnet_mm.config.files import require_file, require_folder
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import add_fast, parse_options
from hrnet_mm.inference.tta import set_tta
from hrnet_mm.training.command_line import parse_arguments, run_parser, run_tool
from hrnet_mm.training.per_class import per_class_table
from hrnet_mm.training.run import metrics_table, run_test, write_metrics


def main() -> None:
    parser = run_parser(
        description=__doc__ or '',
        example='python tools/test.py configs/hrnetv2_w48_cityscapes.py '
        'work_dirs/hrnetv2_w48_cityscapes/iter_80000.pth --out metrics.json --show-dir pictures',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='weights: a file or a URL')
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics there as JSON')
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='write a picture of each test image there, truth on the left, prediction on the right',
    )
    parser.add_argument(
        '--per-class',
        metavar='DIR',
        help='print how each class or keypoint is predicted, and write it there, with a confusion matrix',
    )
    add_fast(parser)
    parser.add_argument(
        '--tta',
        action=argparse.BooleanOptionalAction,
        help='average over flips and, of segmentation and detection, sizes; of pose, flip test on or off '
        '(default: as the config says)',
    )
    args = parse_arguments(parser)
    out = require_file(args.out, key='--out', ending='.json') if args.out else None
    for key, folder in (('--show-dir', args.show_dir), ('--per-class', args.per_class)):
        if folder:
            require_folder(folder, key=key)
    cfg = load_config(
        args.config,
        options=parse_options(args.cfg_options),
        work_dir=args.work_dir,
        data_root=args.data_root,
        launcher=args.launcher,
    )
    if args.tta is not None:
        set_tta(cfg, args.tta)
    metrics = run_test(
        cfg,
        args.checkpoint,
        show_dir=args.show_dir,
        per_class=args.per_class,
        fast=args.fast,
        dtype=args.dtype,
    )
    if is_main_process():
        print(metrics_table(metrics))
        if args.per_class:
            print(f'\n{per_class_table(args.per_class)}')
        if out:
            write_metrics(out, metrics, config=args.config, checkpoint=args.checkpoint)


if __name__ == '__main__':
    run_tool(main)
