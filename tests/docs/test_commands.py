"""Every command in README and docs is run, in the order of its page, or it is said where else, or why not."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Callable

import pytest
from command_table import ELSEWHERE, SUBSTITUTIONS, Elsewhere, elsewhere, substituted
from pages import PAGES, ROOT, blocks, commands, inline_commands
from workplace import Workplace

#: What the workplace knows to run; a line that sets a variable is for the lines after it.
RUNNABLE = re.compile(r'python tools/\w+\.py.*|mim (train|test) mm\w+ configs/.*|make help|[A-Z]+=\S.*')
COMMANDS = [*commands(), *inline_commands()]
TO_RUN = [command for command in COMMANDS if elsewhere(command.place) is None]


def test_every_command_is_run_or_listed() -> None:
    lines = {command.place: substituted(command.line)[0] for command in TO_RUN}
    unknown = [place for place, line in lines.items() if not RUNNABLE.fullmatch(line)]
    assert not unknown, 'neither run nor listed: add them to the tables in tests/docs/command_table.py'


def test_no_substitution_is_idle() -> None:
    used = [change for command in TO_RUN for change in substituted(command.line)[1]]
    assert set(used) == set(SUBSTITUTIONS)


@pytest.mark.parametrize('entry', ELSEWHERE, ids=lambda entry: entry.pattern)
def test_what_is_run_elsewhere_is_on_a_page_and_in_a_test(entry: Elsewhere) -> None:
    assert any(re.fullmatch(entry.pattern, command.place) for command in COMMANDS), 'on no page any more'
    assert entry.why
    if entry.test:
        file, _, name = entry.test.partition('::')
        assert re.search(rf'^def {name}\(', (ROOT / file).read_text(encoding='utf-8'), re.MULTILINE)


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp('workplace'))


@pytest.fixture(scope='module')
def once() -> Callable[[str], bool]:
    """Says of a command line whether it is met for the first time: what two pages have is run once."""
    met: set[str] = set()

    def first(line: str) -> bool:
        new = line not in met
        met.add(line)
        return new

    return first


@pytest.mark.slow
@pytest.mark.parametrize('page', dict.fromkeys(command.page for command in TO_RUN))
def test_the_commands_of_a_page_run(
    page: str, workplace: Workplace, once: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.enter(monkeypatch)
    variables: dict[str, str] = {}
    for command in TO_RUN:
        if command.page != page:
            continue
        line = _expanded(command.line, variables)
        line, _ = substituted(line)
        if assignment := re.fullmatch(r'([A-Z]+)=(.*)', line):
            variables[assignment[1]] = assignment[2]
        elif once(line):
            workplace.run(line, monkeypatch)


def _expanded(line: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        line = line.replace(f'${name}', value)
    return line


PYTHON = [
    pytest.param(text, id=f'{page.name}-{i}')
    for page in PAGES
    for i, text in enumerate(blocks(page, 'python'))
]


@pytest.mark.parametrize('text', PYTHON)
def test_a_python_block_is_python(text: str) -> None:
    ast.parse(text)


def test_the_readme_prints_what_it_says() -> None:
    text = next(text for text in blocks(ROOT / 'README.md', 'python') if 'print(' in text)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, 'README.md', 'exec'), {})
    assert [f'# {line}' for line in printed.getvalue().splitlines()] == re.findall(
        '^# .*', text, re.MULTILINE
    )
