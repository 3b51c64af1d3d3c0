"""Convert HRNet weights of any publisher into another publisher's layout, or a joint model's tasks."""

from __future__ import annotations

from hrnet_mm.checkpoints import PUBLISHERS, convert_checkpoint, extract_task, fill_task
from hrnet_mm.config import ConfigError
from hrnet_mm.training.command_line import ToolParser, run_tool


def main() -> None:
    parser = ToolParser(
        description=__doc__,
        epilog='example: python tools/convert_checkpoint.py hrnetv2_w48_imagenet.pth ours.pth --to hrnet_mm',
    )
    parser.add_argument(
        'source', metavar='IN', help='.pth, .pth.tar or .safetensors; the layout is told by its keys'
    )
    parser.add_argument('out', metavar='OUT', help='file to write; .safetensors for that format')
    parser.add_argument(
        '--to', choices=PUBLISHERS, default='hrnet_mm', help='layout to write (default: %(default)s)'
    )
    parser.add_argument('--ema', action='store_true', help='convert ema_state_dict instead of state_dict')
    parser.add_argument('--task', metavar='NAME', help='write the single model of this task of a joint IN')
    parser.add_argument(
        '--into',
        metavar='JOINT.pth',
        help='with --task: write JOINT.pth with that task from IN, a single model',
    )
    parser.add_argument('--backbone', action='store_true', help='with --into: take the backbone of IN too')
    args = parser.parse_args()
    if args.into and not args.task:
        raise ConfigError(key='--into', value=args.into, expected='--task NAME with it')
    if args.into:
        how = {'task': args.task, 'backbone': args.backbone, 'ema': args.ema}
        keys = fill_task(args.source, args.into, args.out, **how)
        print(f'{len(keys)} tensors of {args.into} replaced, the first {keys[0]}')
    elif args.task:
        print(f'{len(extract_task(args.source, args.out, task=args.task, ema=args.ema))} tensors')
    else:
        print(convert_checkpoint(args.source, args.out, to=args.to, ema=args.ema))
    print(f'written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
