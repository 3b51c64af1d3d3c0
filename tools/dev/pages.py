"""Make a page of docs/ from the configs and figures.toml, model_zoo with the index for mim, or check it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from publishing.comparison import comparison_page, measure_networks
from publishing.figures import ROOT
from publishing.model_zoo import index_files, model_zoo_page, zoo_entries
from publishing.published_figures import measure_sizes, published_figures_page

import hrnet_mm  # noqa: F401  registers our models
from hrnet_mm.training.command_line import ToolParser, run_tool

#: Page in docs/ -> what measures its rows, and what makes its text of them.
PAGES: dict[str, tuple[Callable[..., Sequence[Any]], Callable[..., str]]] = {
    'published_figures': (measure_sizes, published_figures_page),
    'comparison': (measure_networks, comparison_page),
    'model_zoo': (zoo_entries, model_zoo_page),
}


def parse_arguments() -> argparse.Namespace:
    parser = ToolParser(
        description=__doc__,
        epilog='example:\n  python tools/dev/pages.py model_zoo --check',
    )
    parser.add_argument('page', metavar='PAGE', choices=PAGES, help=f'one of {", ".join(PAGES)}')
    parser.add_argument('--check', action='store_true', help='write nothing; exit 1 if a file is out of date')
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    measure, make_page = PAGES[args.page]
    rows = measure(progress=True)
    files = {f'docs/{args.page}.md': make_page(rows)}
    files |= index_files(rows) if args.page == 'model_zoo' else {}
    stale = [name for name, text in files.items() if (ROOT / name).read_text('utf-8') != text]
    for name in stale:
        print(f'{name} is out of date' if args.check else f'writing {name}')
        if not args.check:
            (ROOT / name).write_text(files[name], encoding='utf-8')
    sys.exit(1 if stale and args.check else 0)


if __name__ == '__main__':
    run_tool(main)
