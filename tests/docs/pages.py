"""README and docs as pages with fenced blocks, commands and links.

A ``bash`` block is run by the tests, line by line. One that can't be is fenced as ``bash no-run``, below a
comment ``<!-- not run: why -->``; its commands are still parsed by their tools.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]

_BLOCK = re.compile(
    r'(<!-- not run: (?P<why>[^>]+) -->\n+)?^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$', re.M | re.S
)
_INLINE = re.compile(r'(?<!`)`((?:python tools/|tools/(?:dev/)?\w+\.py |make [a-z]|mim [a-z]+ [a-z])[^`]*)`')
_LINK = re.compile(r'\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.*)$', re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: what stands behind the fence, its text, and why it is not run (or '')."""

    info: str
    text: str
    why: str

    def commands(self) -> list[list[str]]:
        """The words of each line, comments left out and continued lines joined."""
        lines = self.text.replace('\\\n', ' ').splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: Path, language: str) -> list[Block]:
    """The fenced blocks of a language, tagged ones included."""
    found = [Block(m['info'], m['text'], m['why'] or '') for m in _BLOCK.finditer(page.read_text())]
    return [block for block in found if block.info.split()[:1] == [language]]


def inline_commands(page: Path) -> list[list[str]]:
    """The commands in the text."""
    return [shlex.split(text) for text in _INLINE.findall(_BLOCK.sub('', page.read_text()))]


def links(page: Path) -> Iterator[str]:
    """What the page points to, code left out."""
    yield from _LINK.findall(_BLOCK.sub('', page.read_text()))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_BLOCK.sub('', page.read_text()))
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}
