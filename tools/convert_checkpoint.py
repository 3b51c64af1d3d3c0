"""Convert HRNet weights of any publisher into another publisher's layout."""

from __future__ import annotations

from hrnet_mm.checkpoints import PUBLISHERS, convert_checkpoint
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
    args = parser.parse_args()
    print(convert_checkpoint(args.source, args.out, to=args.to, ema=args.ema))
    print(f'written: {args.out}')


if __name__ == '__main__':
    run_tool(main)
