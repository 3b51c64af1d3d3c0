"""Count the parameters and multiply-accumulates of a config's model, or of every published HRNet."""

from __future__ import annotations

import argparse
import warnings

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.analysis import (
    as_markdown,
    as_text,
    compare,
    measure,
    require_json,
    require_shape,
    shape_of,
    write_json,
)
from hrnet_mm.engine import ConfigError, load_config, parse_options
from hrnet_mm.engine.command_line import run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='examples:\n  python tools/complexity.py configs/hrnetv2_w48_cityscapes.py --shape 1024 2048\n'
        '  python tools/complexity.py --table --json published.json',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', metavar='CONFIG', nargs='?', help='config file of any of the four packages')
    parser.add_argument(
        '--shape',
        nargs='+',
        metavar=('H', 'W'),
        help="height and width of the image (default: the config's, for detection 800 1216)",
    )
    parser.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        action='extend',
        default=[],
        help='values to put over those of the config, as in model.backbone.arch=w18',
    )
    parser.add_argument('--table', action='store_true', help='every published row beside ours, in Markdown')
    parser.add_argument('--json', metavar='FILE.json', help='write the table there too')
    return parser.parse_args()


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    if bool(args.config) == args.table:
        raise ConfigError(key='CONFIG', value=args.config, expected='either a config or --table')
    for key, value in (('--shape', args.shape), ('--cfg-options', args.cfg_options)):
        if value and args.table:
            raise ConfigError(key=key, value=' '.join(value), expected='CONFIG with it, not --table')
    if args.json and not args.table:
        raise ConfigError(key='--json', value=args.json, expected='--table with it')


def main() -> None:
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')  # mmengine looks paths up by it
    args = parse_arguments()
    check_arguments(args)
    if args.table:
        target = require_json(args.json) if args.json else None
        rows = compare()
        print(as_markdown(rows))
        if target:
            write_json(target, rows)
    else:
        shape = require_shape(args.shape) if args.shape else None
        cfg = load_config(args.config, options=parse_options(args.cfg_options))
        shape = shape or shape_of(cfg)
        print(as_text(measure(cfg, shape), shape))


if __name__ == '__main__':
    run_tool(main)
