"""Count a config's parameters and multiply-accumulates, or predict the memory that its training will take."""

from __future__ import annotations

import argparse
import sys

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm import analysis
from hrnet_mm.config.build import build_model
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.joint import task_configs
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool

#: Options of before -> the page that tools/dev/pages.py makes instead.
MOVED = {'--table': 'published_figures', '--compare': 'comparison'}


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='examples:\n  python tools/complexity.py configs/hrnetv2_w48_cityscapes.py --shape 1024 2048\n'
        '  python tools/complexity.py mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py\n'
        '  python tools/complexity.py configs/hrnetv2_w48_cityscapes.py --train-memory --amp --gib 24',
    )
    add = parser.add_argument
    about = 'config of any of the four packages: a file, or by name as in mmdet::faster_rcnn/....py'
    add('config', metavar='CONFIG', help=about)
    about = "height and width of the image (default: the config's, for detection 800 1216)"
    add('--shape', nargs='+', metavar=('H', 'W'), help=about)
    add_cfg_options(parser, example='model.backbone.arch=w18')
    about = 'predict the peak of a training step, and what recomputation of each stage saves and costs'
    add('--train-memory', action='store_true', help=about)
    add('--batch', metavar='N', type=int, help="for --train-memory: images a process (default: the config's)")
    add('--amp', action='store_true', help='for --train-memory: bfloat16 autocast')
    add('--gib', metavar='G', type=float, help='for --train-memory: the largest batch that fits so many GiB')
    for option in MOVED.keys() & set(sys.argv):
        page = f'python tools/dev/pages.py {MOVED[option]}, which makes that table now, in a checkout'
        raise ConfigError(key=option, value=True, expected=page)
    return parser.parse_args()


def check_training(args: argparse.Namespace) -> None:
    for key, value in (('--batch', args.batch), ('--amp', args.amp or None), ('--gib', args.gib)):
        if value is not None and not args.train_memory:
            raise ConfigError(key=key, value=value, expected='--train-memory with it')
        if value is not None and value <= 0:
            raise ConfigError(key=key, value=value, expected='more than 0')


def main() -> None:
    args = parse_arguments()
    check_training(args)
    shape = analysis.require_shape(args.shape) if args.shape else None
    cfg = load_config(args.config, options=parse_options(args.cfg_options))
    if args.train_memory:
        print(analysis.training_memory_as_text(cfg, shape, batch=args.batch, amp=args.amp, gib=args.gib))
        return
    views = task_configs(cfg)
    for task, size in analysis.task_shapes(cfg, shape).items():
        if task:
            print(f'task {task}, with the backbone')
        print(analysis.measure(views[task], size).as_text(size))
    if '' not in views:
        count = sum(each.numel() for each in build_model(cfg, device='meta').parameters())
        print(f'all tasks on one backbone\nparameters            {count:,} ({count / 1e6:.1f} M)')


if __name__ == '__main__':
    run_tool(main)
