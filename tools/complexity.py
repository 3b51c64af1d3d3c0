"""Count a config's model, every published HRNet, or HRNet beside the networks it is compared with."""

from __future__ import annotations

import argparse
from pathlib import Path

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis import (
    TASKS,
    as_markdown,
    as_text,
    compare,
    compare_partners,
    comparison_page,
    is_ours,
    largest_as_text,
    largest_batch,
    measure,
    memory_as_text,
    partners_of,
    predict_training_memory,
    recomputations,
    recomputations_as_text,
    require_shape,
    require_tasks,
    shape_of,
    write_comparison,
    write_json,
)
from hrnet_mm.config.errors import ConfigError
from hrnet_mm.config.files import require_file
from hrnet_mm.config.load import load_config
from hrnet_mm.config.options import parse_options
from hrnet_mm.training.command_line import ToolParser, add_cfg_options, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='examples:\n  python tools/complexity.py configs/hrnetv2_w48_cityscapes.py --shape 1024 2048\n'
        '  python tools/complexity.py mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py\n'
        '  python tools/complexity.py --table --json published.json\n'
        '  python tools/complexity.py --compare pose detection --time\n'
        '  python tools/complexity.py configs/hrnetv2_w48_cityscapes.py --train-memory --amp --gib 24',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config',
        metavar='CONFIG',
        nargs='?',
        help='config of any of the four packages: a file, or by name as in mmdet::faster_rcnn/....py',
    )
    parser.add_argument(
        '--shape',
        nargs='+',
        metavar=('H', 'W'),
        help="height and width of the image (default: the config's, for detection 800 1216)",
    )
    add_cfg_options(parser, example='model.backbone.arch=w18')
    parser.add_argument(
        '--train-memory',
        action='store_true',
        help='predict the peak of a training step, and what recomputation of each stage saves and costs',
    )
    parser.add_argument(
        '--batch', metavar='N', type=int, help="images per process for --train-memory (default: the config's)"
    )
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast for --train-memory')
    parser.add_argument(
        '--gib', metavar='G', type=float, help='for --train-memory: the largest batch that fits so many GiB'
    )
    parser.add_argument('--table', action='store_true', help='every published row beside ours, in Markdown')
    parser.add_argument(
        '--compare',
        metavar='TASK',
        nargs='*',
        help=f'HRNet beside other networks, in Markdown: {", ".join(TASKS)} (default: all)',
    )
    parser.add_argument('--time', action='store_true', help='measure the time of inference for --compare too')
    parser.add_argument('--json', metavar='FILE.json', help='write the table there too')
    return parser.parse_args()


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    compared = args.compare is not None
    if (bool(args.config), args.table, compared).count(True) != 1:
        raise ConfigError(
            key='CONFIG', value=args.config, expected='one of a config, --table and --compare, no two of them'
        )
    for key, value, goes_with, fits in (
        ('--shape', args.shape, 'CONFIG or --compare', not args.table),
        ('--cfg-options', args.cfg_options, 'CONFIG', bool(args.config)),
        ('--json', args.json, '--table or --compare', not args.config),
        ('--time', args.time, '--compare', compared),
        ('--train-memory', args.train_memory, 'CONFIG', bool(args.config)),
        ('--batch', args.batch, '--train-memory', args.train_memory),
        ('--amp', args.amp, '--train-memory', args.train_memory),
        ('--gib', args.gib, '--train-memory', args.train_memory),
    ):
        if value not in (None, False, []) and not fits:
            given = ' '.join(value) if isinstance(value, list) else value
            raise ConfigError(key=key, value=given, expected=f'{goes_with} with it')
    for key, number in (('--batch', args.batch), ('--gib', args.gib)):
        if number is not None and number <= 0:
            raise ConfigError(key=key, value=number, expected='more than 0')


def print_table(target: Path | None) -> None:
    """Every published row."""
    rows = compare()
    print(as_markdown(rows))
    if target:
        write_json(target, rows)


def print_comparison(args: argparse.Namespace, target: Path | None) -> None:
    """HRNet beside the others."""
    partners = partners_of(require_tasks(args.compare))
    shape = require_shape(args.shape) if args.shape else None
    rows = compare_partners(partners, shape=shape, timed=args.time, progress=True)
    print(comparison_page(rows))
    if target:
        write_comparison(target, rows)


def print_config(args: argparse.Namespace) -> None:
    """One config's model."""
    shape = require_shape(args.shape) if args.shape else None
    cfg = load_config(args.config, options=parse_options(args.cfg_options))
    shape = shape or shape_of(cfg)
    print(as_text(measure(cfg, shape), shape))


def print_training_memory(args: argparse.Namespace) -> None:
    """What one config's training takes."""
    shape = require_shape(args.shape) if args.shape else None
    cfg = load_config(args.config, options=parse_options(args.cfg_options))
    shape = shape or shape_of(cfg)
    how = {'amp': args.amp}
    print(memory_as_text(predict_training_memory(cfg, shape, batch=args.batch, **how), shape, **how))
    if args.gib:
        print(largest_as_text(largest_batch(cfg, shape, gib=args.gib, **how), gib=args.gib))
    if is_ours(cfg):
        print(recomputations_as_text(recomputations(cfg, shape, batch=args.batch, **how)))


def main() -> None:
    args = parse_arguments()
    check_arguments(args)
    target = require_file(args.json, key='--json', ending='.json') if args.json else None
    if args.table:
        print_table(target)
    elif args.train_memory:
        print_training_memory(args)
    elif args.config:
        print_config(args)
    else:
        print_comparison(args, target)


if __name__ == '__main__':
    run_tool(main)
