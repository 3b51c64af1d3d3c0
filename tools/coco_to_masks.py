"""Write label maps for semantic segmentation from the polygons of a COCO file."""

from __future__ import annotations

from hrnet_mm.data import write_coco_masks
from hrnet_mm.training.command_line import ToolParser, run_tool


def main() -> None:
    parser = ToolParser(
        description=__doc__,
        epilog='example: python tools/coco_to_masks.py data/own/person_keypoints.json data/own/masks',
    )
    parser.add_argument('ann_file', help='COCO annotation file')
    parser.add_argument('out_dir', help='folder for one PNG per image')
    parser.add_argument(
        '--categories',
        nargs='+',
        default=['person'],
        help='category names, in the order of labels 1, 2, ...; all else is 0 (default: person)',
    )
    args = parser.parse_args()
    written = write_coco_masks(args.ann_file, args.out_dir, categories=args.categories)
    print(f'{len(written)} label maps in {args.out_dir}')


if __name__ == '__main__':
    run_tool(main, mistakes=(ValueError,))
