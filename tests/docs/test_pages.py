"""What README and docs tell to type runs, what they point to is there."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, blocks, inline_commands, links
from workplace import Workplace

#: Words in the text that stand for something of the reader's, and are of no particular form.
PLACEHOLDERS = {'CONFIG': 'configs/hrnetv2_w48_cityscapes.py', '...': ''}
page_by_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)


@page_by_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in (link for link in links(page) if not re.match(r'https?://', link)):
        name, _, anchor = link.partition('#')
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f'{page.name} points to {link}'
        assert not anchor or anchor in anchors(target), f'{link}; there is {sorted(anchors(target))}'


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / 'docs' / 'README.md'
    listed = {link.partition('#')[0] for link in links(contents)}
    assert listed >= {page.name for page in contents.parent.glob('*.md')} - {'README.md'}


@page_by_page
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    for block in blocks(page, 'bash'):
        assert block.info in ('bash', 'bash no-run')
        assert bool(block.why) == (block.info == 'bash no-run'), block.text


@page_by_page
def test_python_blocks_are_python(page: Path) -> None:
    for block in blocks(page, 'python'):
        ast.parse(block.text)


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp('workplace'))


@pytest.mark.nightly
@pytest.mark.parametrize('page', [page for page in PAGES if blocks(page, 'bash')], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(
    page: Path, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.enter(monkeypatch)
    variables: dict[str, str] = {}
    for words in (words for block in blocks(page, 'bash') if not block.why for words in block.commands()):
        for name, value in variables.items():
            words = [word.replace(f'${name}', value) for word in words]
        if assignment := re.fullmatch(r'([A-Z]+)=(.*)', words[0]):
            variables[assignment[1]] = assignment[2]
            continue
        words = [part for word in words for part in word.split()]
        workplace.run(words, monkeypatch)


@pytest.mark.nightly
def test_the_readme_predicts(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    workplace.enter(monkeypatch)
    checkpoint = 'work_dirs/hrnetv2_w48_cityscapes/iter_1.pth'
    workplace.run(['python', 'tools/complexity.py', 'configs/hrnetv2_w48_cityscapes.py'], monkeypatch)
    text = next(block.text for block in blocks(ROOT / 'README.md', 'python') if 'Network' in block.text)
    if not Path(checkpoint).exists():
        workplace.run(['python', 'tools/train.py', 'configs/hrnetv2_w48_cityscapes.py'], monkeypatch)
    names: dict[str, object] = {}
    exec(text.replace('checkpoint.pth', checkpoint), names)
    assert names['labels'].shape == (128, 192)  # type: ignore[attr-defined]


def parsed() -> list[list[str]]:
    """Every command that is not run: of tagged blocks, and in the text."""
    tagged = [words for page in PAGES for b in blocks(page, 'bash') if b.why for words in b.commands()]
    inline = [words for page in PAGES for words in inline_commands(page)]
    # a text that names a tool or its option is no command
    return tagged + [words for words in inline if any(not w.startswith('-') for w in _arguments(words))]


def _arguments(words: Sequence[str]) -> list[str]:
    """What is typed behind the tool, placeholders left out."""
    rest = words[2:] if words[0] == 'python' else words[1:]
    return list(filter(None, (PLACEHOLDERS.get(word, word) for word in rest)))


@pytest.mark.parametrize('words', parsed(), ids=' '.join)
def test_a_command_is_accepted(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it can be told without running it: tools, options, configs and make's targets exist."""
    tool = next((i for i, word in enumerate(words) if re.fullmatch(r'tools/(dev/)?\w+\.py', word)), None)
    for word in words:
        _require_config(word)
    if tool is not None:
        _require_accepted(words[tool], words[tool + 1 :], monkeypatch)
    elif words[0] == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert words[1] in targets
        assert all(re.fullmatch(r'[A-Z_]+=.+', word) for word in words[2:])
    elif words[0] == 'mim':
        assert words[1] in ('train', 'test', 'run', 'search')
    else:
        assert words[0] in ('source', 'pip', 'cd', 'git') or '=' in words[0], words


class _AcceptedError(Exception):
    """The arguments were parsed; the tool goes no further."""


def _require_accepted(tool: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the tool up to the end of its parser."""
    words = list(filter(None, (PLACEHOLDERS.get(word, word) for word in arguments)))
    for name in ('parse_args', 'parse_intermixed_args'):
        monkeypatch.setattr(argparse.ArgumentParser, name, _stopping(name))
    monkeypatch.setattr(sys, 'argv', [tool, *words])
    monkeypatch.syspath_prepend(str((ROOT / tool).parent))
    with pytest.raises(_AcceptedError):
        runpy.run_path(str(ROOT / tool), run_name='__main__')


def _stopping(name: str) -> Callable[..., None]:
    parse = getattr(argparse.ArgumentParser, name)

    def parse_and_stop(self: argparse.ArgumentParser) -> None:
        parse(self)
        raise _AcceptedError

    return parse_and_stop


def _require_config(word: str) -> None:
    package, separator, path = word.partition('::')
    if word.startswith('configs/'):
        assert (ROOT / word).is_file(), word
    elif separator and path.endswith('.py'):
        assert (Path(__import__(package).__path__[0]) / '.mim' / 'configs' / path).is_file(), word
