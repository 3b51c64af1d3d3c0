"""Write label maps for semantic segmentation from the polygons of a COCO file."""

from __future__ import annotations

import argparse
import sys

from hrnet_mm.data import write_coco_masks


def main() -> int:
    parser = argparse.ArgumentParser(
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
    try:
        written = write_coco_masks(args.ann_file, args.out_dir, categories=args.categories)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{len(written)} label maps in {args.out_dir}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
