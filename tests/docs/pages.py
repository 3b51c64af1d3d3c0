"""README and docs as a list of pages, their links and their commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CHANGELOG.md', *sorted((ROOT / 'docs').glob('*.md'))]

_FENCED = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_INLINE = re.compile(
    r'(?<!`)`((?:python tools/|tools/\w+\.py |make [a-z]|mim [a-z]+ [a-z]|(?:[A-Z_]+=\S+ )*pip install)'
    r'[^`]*)`'
)
_LINK = re.compile(r'\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.*)$', re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A line of a shell block, or a command in the middle of a text.

    Attributes:
        page: name of the page's file.
        words: as a shell splits them, comments left out.
    """

    page: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """What is typed, quotes left out."""
        return ' '.join(self.words)

    @property
    def place(self) -> str:
        """Page and line."""
        return f'{self.page}: {self.line}'

    def __str__(self) -> str:
        return f'{self.page}: {shlex.join(self.words)}'


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [text for name, text in _FENCED.findall(page.read_text(encoding='utf-8')) if name == language]


def commands() -> list[Command]:
    """Every command of every page."""
    return [
        Command(page.name, tuple(shlex.split(line, comments=True)))
        for page in PAGES
        for block in blocks(page, 'bash')
        for line in block.replace('\\\n', ' ').splitlines()
        if line.strip() and not line.startswith('#')
    ]


def inline_commands() -> list[Command]:
    """The commands in the texts; the change log tells of tools and asks nobody to run them."""
    return [
        Command(page.name, tuple(shlex.split(text)))
        for page in PAGES
        if page.name != 'CHANGELOG.md'
        for text in _INLINE.findall(_FENCED.sub('', page.read_text(encoding='utf-8')))
    ]


def links(page: Path) -> Iterator[str]:
    """What the page points to, code left out."""
    yield from _LINK.findall(_FENCED.sub('', page.read_text(encoding='utf-8')))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = _FENCED.sub('', page.read_text(encoding='utf-8'))
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in _HEADING.findall(text)}
