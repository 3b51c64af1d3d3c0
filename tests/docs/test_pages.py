"""What README and docs tell to type is accepted, what they point to is there."""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Command, anchors, commands, links

#: Words that stand for something of the reader's.
PLACEHOLDERS = {'CONFIG': 'configs/hrnetv2_w48_cityscapes.py', '...': ''}
#: What runs neither a tool of ours nor mim.
SET_UP = ('source .venv/bin/activate', 'MMCV_WITH_OPS=1 pip install mmcv==2.1.0 --no-build-isolation')
MIM_PACKAGES = ('mmseg', 'mmpose', 'mmdet', 'mmpretrain')
COMMANDS = commands()


class _Accepted(Exception):
    """The arguments were parsed; the tool goes no further."""


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r'https?://', link):
            continue
        name, _, anchor = link.partition('#')
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f'{page.name} points to {link}'
        if anchor:
            assert anchor in anchors(target), (
                f'{page.name} points to {link}; there is {sorted(anchors(target))}'
            )


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = ROOT / 'docs' / 'README.md'
    listed = {link.partition('#')[0] for link in links(contents)}
    assert listed >= {page.name for page in contents.parent.glob('*.md')} - {'README.md'}


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_a_command_is_accepted(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    words = list(command.words)
    if words[0] in ('torchrun', 'srun'):
        words = ['python', *words[_index(words, r'tools/\w+\.py') :]]
    if words[0] == 'python' and words[1].startswith('tools/'):
        _require_accepted(words[1], words[2:], monkeypatch)
    elif words[0] == 'make':
        targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(encoding='utf-8'), re.MULTILINE)
        assert words[1] in targets
        assert all(re.fullmatch(r'[A-Z_]+=.+', word) for word in words[2:])
    elif words[0] == 'mim':
        assert words[1] in ('train', 'test', 'run', 'search')
        if words[1] in ('train', 'test'):
            assert words[2] in MIM_PACKAGES
            _require_config(words[3])
    elif not re.fullmatch(r'[A-Z]+=.*', words[0]) or len(words) > 1:
        assert ' '.join(words) in SET_UP


def _index(words: Sequence[str], pattern: str) -> int:
    return next(i for i, word in enumerate(words) if re.fullmatch(pattern, word))


def _require_accepted(tool: str, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the tool up to the end of its parser."""
    arguments = [PLACEHOLDERS.get(word, word) for word in arguments]
    for word in arguments:
        if word.startswith('configs/') or '::' in word:
            _require_config(word)
    for name in ('parse_args', 'parse_intermixed_args'):
        monkeypatch.setattr(argparse.ArgumentParser, name, _stopping(name))
    monkeypatch.setattr(sys, 'argv', [tool, *filter(None, arguments)])
    with pytest.raises(_Accepted):
        runpy.run_path(str(ROOT / tool), run_name='__main__')


def _stopping(name: str) -> Callable[..., None]:
    parse = getattr(argparse.ArgumentParser, name)

    def parse_and_stop(self: argparse.ArgumentParser) -> None:
        parse(self)
        raise _Accepted

    return parse_and_stop


def _require_config(name: str) -> None:
    if name.startswith('configs/'):
        assert (ROOT / name).is_file(), name
    elif '::' in name:
        package, _, path = name.partition('::')
        module = __import__(package)
        assert (Path(module.__file__).parent / '.mim' / 'configs' / path).is_file(), name


def test_the_pages_hold_commands() -> None:
    """Neither pattern above has gone blind."""
    assert len(COMMANDS) > 40
    assert {command.words[0] for command in COMMANDS} >= {'python', 'make', 'mim', 'torchrun', 'srun'}
