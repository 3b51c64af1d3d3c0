"""Write docs/model_zoo.md, model-index.yml and configs/metafile_*.yml from the configs, or check them."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from zoo.entries import zoo_entries
from zoo.index import index_files
from zoo.page import as_page

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.training.command_line import run_tool

ROOT = Path(__file__).resolve().parents[1]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example:\n  python tools/dev/model_zoo.py --check',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing; exit 1 where a file is out of date'
    )
    return parser.parse_args()


def main() -> None:
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')  # mmengine looks paths up by it
    args = parse_arguments()
    entries = zoo_entries(progress=True)
    files = {'docs/model_zoo.md': as_page(entries), **index_files(entries)}
    stale = [name for name, text in files.items() if not _holds(ROOT / name, text)]
    for name in stale:
        print(f'{name} is out of date' if args.check else f'writing {name}')
        if not args.check:
            (ROOT / name).write_text(files[name], encoding='utf-8')
    sys.exit(1 if stale and args.check else 0)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding='utf-8') == text


if __name__ == '__main__':
    run_tool(main)
