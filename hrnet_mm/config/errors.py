"""The errors that say in one line: the command, the config or a sample is wrong, and nothing is lost yet."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Where code lies that is nobody's own: Python's, that of installed packages, and ours.
_INSTALLED = (
    sysconfig.get_paths()['stdlib'],
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
)


class ConfigError(ValueError):
    """A wrong argument or config value, found before any work started.

    Args:
        key: The argument (``'--resume'``) or the config key (``'optim_wrapper.type'``).
        value: What was given.
        expected: What would have been right, and, where it helps, how to write it.
    """

    def __init__(self, key: str, value: object, expected: str) -> None:
        super().__init__(key, value, expected)
        self.key = key
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f'{self.key} = {self.value!r}: expected {self.expected}'


class DataError(RuntimeError):
    """A sample that can't be used, in one line: where it is, what is wrong, and where to look.

    Args:
        line: The message. A data loader's worker hands its traceback over instead, which ends in it.
    """

    def __init__(self, line: str) -> None:
        # torch makes the error anew, in the main process, of the worker's traceback
        last = line.strip().rpartition('\n')[2]
        super().__init__(last.removeprefix(f'{__name__}.{type(self).__name__}: '))


def one_line(error: BaseException) -> str:
    """An error in one line, for quoting it inside a message.

    Returns:
        Its class and the first line of its text, or of code, where it is a bare assertion; behind them file
        and line where code of the user's own (a head, a data set, a transform) raised it.
    """
    lines = str(error).strip().splitlines()
    if not lines and isinstance(error, AssertionError):
        lines = [frame.line or '' for frame in traceback.extract_tb(error.__traceback__)[-1:]]
    text = f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__
    place = users_line(error)
    return f'{text} at {place}' if place else text


def users_line(error: BaseException, *, imported: bool = False) -> str | None:
    """The deepest line outside of installed packages on the way to an error, or to its cause.

    Args:
        error: What was raised.
        imported: Whether only modules count, not what is run as configs are.
    """
    earlier = error.__cause__ or error.__context__
    place = users_line(earlier, imported=imported) if earlier else None
    if place is None:
        for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
            file = os.path.abspath(frame.f_code.co_filename)
            if imported and frame.f_globals.get('__spec__') is None:
                continue
            if os.path.isfile(file) and '-packages' + os.sep not in file and not file.startswith(_INSTALLED):
                return f'{os.path.relpath(file) if file.startswith(os.getcwd()) else file}:{line}'
    return place


def _is_ours(error: BaseException) -> bool:
    """Whether a module of ours raised it, as a backbone does of a wrong argument, whoever builds it."""
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    return os.path.abspath(innermost.f_code.co_filename).startswith(_INSTALLED[1])


@contextmanager
def refused(
    key: str, value: object, *, expected: str, explain: Callable[[Exception], str] = one_line
) -> Iterator[None]:
    """Whatever the packages raise in here becomes one line; bugs in code of the user's own pass as they are.

    Args:
        key: The config key that is tried.
        value: What is there.
        expected: What it has to be; the error is quoted behind it.
        explain: How the error is quoted.

    Raises:
        ConfigError: instead of the packages' own errors.
    """
    try:
        yield
    except (ConfigError, DataError):
        raise
    except Exception as error:  # the packages fail in any way at what a config or a file holds
        if users_line(error) is not None and not _is_ours(error):
            raise
        raise ConfigError(key, value, expected=f'{expected} ({explain(error)})') from error
